"""Links between processes of this machine, as slow as a network (tests/support/link_shaper.h)."""
import os
import subprocess

import processes
from common import BIN

# What a link's name means: (delay each way in ms, rate each way in Mbit/s, 0: unlimited); None: loopback as it is.
SHAPES = {"0 ms": None, "2 ms each way": (2, 0), "100 Mbit/s": (0, 100)}


class Link:
    """A link to a port of this machine. `port` is its near end."""

    def __init__(self, port, shape=None):
        self.process = processes.start([os.path.join(BIN, "shoal-link-shaper"), "--to", f"127.0.0.1:{port}"],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.reshape(shape)

    def reshape(self, shape):
        delay_ms, rate_mbit = shape or (0, 0)
        self.tell(f"shape {delay_ms} 0 {rate_mbit}")

    def tell(self, command):
        """What the shaper takes on its standard input (tests/support/link_shaper_main.cc)."""
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def close(self):
        processes.end([self.process])
