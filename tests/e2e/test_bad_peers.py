"""Peers that break the protocol: their link is closed, they are told why, and the shoal goes on serving."""

import contextlib
import os
import random
import socket
import ssl
import unittest

import wire
from shoal import ShoalTestCase, model
from wire import Key, Peer, field, frame

PROMPT = "Once upon a time"
LIMIT_S = 8  # the first frame must be there in 5 s


class BadPeers(ShoalTestCase):
    @classmethod
    def setUpClass(cls):
        shoal = cls.share(model(), nodes=2)
        cls.expected = shoal.complete(PROMPT)
        folder = shoal.directory / "peer"
        folder.mkdir()
        cls.stranger = Key(folder)
        folder = shoal.directory / "paired peer"
        folder.mkdir()
        cls.paired = Key(folder)
        wire.pair(shoal, cls.paired)

    def tearDown(self):
        # After every outrage the same coordinator and nodes serve as before.
        self.assertTrue(all(process.running() for process in [self.shared.coordinator, *self.shared.nodes]))
        self.assertEqual(self.shared.complete(PROMPT), self.expected)
        super().tearDown()

    def connect(self, key=None, address=None):
        peer = Peer(address or self.shared.cluster_address, key or self.stranger, LIMIT_S)
        self.addCleanup(peer.stream.close)
        return peer

    def control_link(self):
        """A link on which a paired peer has said Hello and been welcomed."""
        peer = self.connect(self.paired)
        peer.send(wire.hello())
        self.assertIsNotNone(peer.until(wire.WELCOME))
        return peer

    def node_address(self):
        # By name: the status lists nodes by id, and the paired peer of this test is one that listens nowhere.
        node = next(node for node in self.shared.status()["nodes"] if node["name"] == "node-1")
        return ("127.0.0.1", int(node["addresses"][0].rpartition(":")[2]))

    def test_unpaired_hello(self):
        """A key that is not paired may only ask to join: anything else is rejected with what to do."""
        for message in (wire.hello(), frame(wire.FETCH_HELLO), frame(wire.DATA_HELLO, field(1, 1)), frame(wire.PING)):
            peer = self.connect()
            peer.send(message)
            self.assertIn("shoal token create", peer.closed())

    def test_unpaired_at_a_node(self):
        """A node takes links from its coordinator and its plan's nodes only."""
        for message in (wire.hello(), frame(wire.FETCH_HELLO), frame(wire.DATA_HELLO, field(1, 1))):
            peer = self.connect(address=self.node_address())
            peer.send(message)
            self.assertNotEqual(peer.closed(), "")

    def test_another_version(self):
        """A peer of another version is told both versions, paired or not."""
        for key in (self.stranger, self.paired):
            peer = self.connect(key)
            peer.send(frame(wire.HELLO, version=999))
            got = peer.until(wire.REJECT)
            self.assertEqual(got[1], wire.VERSION_MISMATCH)
            self.assertRegex(got[2].decode(), r"999")
            self.assertRegex(got[2].decode(), rf"\b{wire.VERSION}\b")

    def test_oversized(self):
        """Lengths over the limit are refused from the header alone; no memory is taken for them."""
        before = resident_bytes(self.shared.coordinator.pid)
        for bad in (frame(wire.JOIN_REQUEST, message_bytes=2000), frame(wire.JOIN_REQUEST, message_bytes=2**32 - 1),
                    frame(wire.JOIN_REQUEST, raw_bytes=2**31)):
            peer = self.connect()
            peer.send(bad)
            self.assertNotEqual(peer.closed(), "")
        for bad in (frame(wire.TELEMETRY, message_bytes=2**30), frame(wire.TELEMETRY, raw_bytes=2**30),
                    frame(wire.PING, raw_bytes=1), frame(19, message_bytes=10, raw_bytes=2**32 - 1)):
            peer = self.control_link()
            peer.send(bad)
            self.assertNotEqual(peer.closed(), "")
        self.assertLess(resident_bytes(self.shared.coordinator.pid) - before, 32 << 20)

    def test_unknown_type_and_magic(self):
        for bad in (frame(4711), frame(0), frame(wire.TELEMETRY, magic=b"HTTP"), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
            peer = self.control_link()
            peer.send(bad)
            self.assertNotEqual(peer.closed(), "")

    def test_message_that_is_none(self):
        """A frame whose bytes are no protobuf, or break the schema's promises."""
        for bad in (frame(wire.TELEMETRY, b"\xff" * 40), frame(19, field(4, b"\x01\x02\x03")),
                    frame(wire.HELLO, field(1, "x" * 1000)), frame(wire.JOIN_REQUEST, b""), frame(20, field(3, 5))):
            peer = self.control_link()
            peer.send(bad)
            self.assertNotEqual(peer.closed(), "")

    def test_messages_out_of_place(self):
        """Frames that are right in themselves and make no sense from this peer change nothing."""
        peer = self.control_link()
        for strange in (frame(15, field(1, 1)), frame(13, field(1, 1) + field(2, 9)), frame(14, field(1, 1)),
                        frame(21, field(1, 1) + field(2, 1) + field(3, 1) + field(5, "no")), frame(17, field(1, 1)),
                        frame(20, field(1, 1) + field(2, 1)), frame(wire.PLAN, field(1, 99)),
                        frame(18, field(1, os.urandom(32)), b"x" * 100)):
            peer.send(strange)
        peer.send(frame(wire.PING, field(1, 77)))
        answer = peer.until(wire.PONG)
        while answer is not None and answer.get(1) != 77:
            answer = peer.until(wire.PONG)
        self.assertIsNotNone(answer)

    def test_random_frames(self):
        """Random bytes, and right frames with random bytes changed, from a paired peer."""
        generator = random.Random(2026)
        for _ in range(30):
            peer = self.control_link()
            good = frame(generator.randrange(1, 24), generator.randbytes(generator.randrange(0, 60)))
            bad = bytearray(wire.hello() + good if generator.random() < 0.5 else generator.randbytes(200))
            for _ in range(3):
                bad[generator.randrange(len(bad))] = generator.randrange(256)
            try:
                peer.send(bytes(bad) + generator.randbytes(64))
            except (ConnectionError, ssl.SSLError):
                pass  # closed at the first bad byte
            peer.stream.close()

    def test_no_tls(self):
        """Bytes that are no TLS, and a client that says nothing at all, are closed."""
        with contextlib.ExitStack() as stack:
            connections = []
            for first in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(100), b""):
                connections.append(stack.enter_context(socket.create_connection(self.shared.cluster_address, LIMIT_S)))
                connections[-1].sendall(first)
            for plain in connections:
                self.assertTrue(ends(plain))

    def test_no_certificate(self):
        """A client without a key of its own does not get past the handshake."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with socket.create_connection(self.shared.cluster_address, LIMIT_S) as plain:
            with self.assertRaises((ssl.SSLError, ConnectionError)):
                with context.wrap_socket(plain) as stream:  # TLS 1.3: the client learns of it when it reads
                    stream.recv(1)

    def test_stops_in_the_middle(self):
        """A peer that stops in the middle of its first frame, or closes in the middle of one, is let go."""
        peer = self.connect()
        peer.send(frame(wire.JOIN_REQUEST, b"x" * 100)[:50])
        peer.closed()  # within the deadline, or the read times out

        peer = self.control_link()
        name = "peer"
        peer.send(frame(wire.TELEMETRY, b"", message_bytes=500)[:16] + b"\0" * 20)
        peer.stream.shutdown(socket.SHUT_RDWR)  # of the socket below, without a word of TLS
        self.shared.wait_status(
            lambda status: [node["state"] for node in status["nodes"] if node["name"] == name] == ["away"],
            "the peer seen leaving")

    def test_falls_silent(self):
        """A paired peer that sends half a frame and stays is let go after seconds of silence."""
        peer = self.control_link()
        peer.send(frame(wire.TELEMETRY, b"", message_bytes=500)[:16])
        peer.closed()

    def test_flood_of_half_open_links(self):
        """Two hundred connections that say nothing do not keep a node out."""
        idle = []
        try:
            for _ in range(200):
                idle.append(socket.create_connection(self.shared.cluster_address, LIMIT_S))
            node = self.shared.add_node(name="late", memory="1MiB")
            self.shared.wait_status(
                lambda status: "late" in [n["name"] for n in status["nodes"] if n["state"] == "connected"], "the node in")
            node.stop()
            self.shared.nodes.remove(node)
        finally:
            for connection in idle:
                connection.close()


def ends(connection):
    """True when the other side closes; False when it has not by the socket's timeout."""
    try:
        while connection.recv(4096):
            pass
        return True
    except ConnectionError:
        return True
    except socket.timeout:
        return False


def resident_bytes(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    unittest.main()
