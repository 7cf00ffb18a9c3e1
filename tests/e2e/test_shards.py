"""How shards reach the flash: resumed, verified, from peers first, or cut locally."""

import re
import unittest

from shoal import ShoalTestCase, model, wait_until

PROMPT = "Once upon a time"
# 150 MB: long enough on the way that it can be interrupted.
LARGE = {"embedding": 1024, "ffn": 4096, "heads": 8, "layers": 8, "type": "Q8_0", "context": 256}

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def size(text):
    number, unit = text.split()
    return float(number) * UNITS[unit]


def on_flash(log):
    """[(there already, whole shard)] in bytes, for each stage that this run of the node was given."""
    return [(size(have), size(total)) for have, total in
            re.findall(r"layers \S+, (\S+ \w+) of (\S+ \w+) on flash", log)]


class Shards(ShoalTestCase):
    def test_interrupted_transfer_resumes(self):
        """kill -9 in the middle of a transfer: the next start fetches only what is missing, and answers right."""
        shoal = self.start(model(**LARGE), nodes=0, context=128)
        node = shoal.add_node()

        def share_there():
            files = node.shard_files()
            if not files:
                return 0
            stat = files[0].stat()
            return stat.st_blocks * 512 / stat.st_size if stat.st_size > 0 else 0

        wait_until(lambda: share_there() > 0.2, "a fifth of the shard there", pause=0.001)
        node.kill()
        there = share_there()
        self.assertLess(there, 1, "the transfer was over before it could be interrupted")
        again = shoal.restart_node(node)
        shoal.wait_serving()
        [(have, total)] = on_flash(again.log())
        self.assertGreater(have, 0.1 * total)
        self.assertLess(have, total)
        self.assertEqual(len(shoal.complete(PROMPT)) > 0, True)

    def test_damaged_shard_is_mended(self):
        """Bytes that change on flash while the node is away are noticed before the shard is loaded, and fetched anew."""
        shoal = self.start(model(), nodes=1)
        expected = shoal.complete(PROMPT)
        node = shoal.nodes[0]
        node.stop()
        [path] = node.shard_files()
        content = bytearray(path.read_bytes())
        length = len(content) // 40
        for place in (0, len(content) // 4, len(content) // 2, len(content) - length):  # the header, and weights
            content[place:place + length] = bytes(byte ^ 0x55 for byte in content[place:place + length])
        path.write_bytes(content)
        again = shoal.restart_node(node)
        shoal.wait_status(lambda status: status["state"] == "serving", "serving again")
        self.assertEqual(shoal.complete(PROMPT), expected)
        self.assertRegex(again.log(), r"\d+ of \d+ pieces on flash are damaged; fetching them again")
        [first, second] = on_flash(again.log())
        self.assertEqual(first[0], first[1])
        self.assertLess(0, second[0])
        self.assertLess(second[0], second[1])

    def test_own_model_file(self):
        """A node that has the whole model cuts its shard from it and fetches nothing but the header."""
        path = model(**LARGE)
        shoal = self.start(path, nodes=0, context=128)
        node = shoal.add_node("--model", path)
        shoal.wait_serving()
        [(have, total)] = on_flash(node.log())
        self.assertGreater(have, 0.99 * total)
        self.assertGreater(len(shoal.complete(PROMPT, max_tokens=4)), 0)

    def test_peers_are_asked_first(self):
        """Layers that a node holds go from it to the next node that needs them, not once more from the coordinator."""
        shoal = self.start(model(layers=6), nodes=2, memory="1GiB")
        before = shoal.complete(PROMPT)
        last = shoal.node_of_stage(1)
        third = shoal.add_node(memory="10MiB")  # too small for the layers of the one that dies: some of the other's are its
        shoal.wait_status(lambda status: sum(n["state"] == "connected" for n in status["nodes"]) == 3, "three nodes")
        last.kill()
        shoal.wait_serving()
        shoal.wait_status(lambda status: any(stage["node_name"] == third.name for stage in status["plan"]["stages"]),
                          "the third node in the plan")
        shoal.wait_serving()
        self.assertEqual(shoal.complete(PROMPT), before)
        sources = re.findall(r"fetched \S+ \w+ from (node|the coordinator)", third.log())
        self.assertIn("node", sources, third.log())


if __name__ == "__main__":
    unittest.main()
