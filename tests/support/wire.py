"""A peer that speaks Shoal's wire (src/wire/frame.h, proto/shoal/v1/wire.proto) by hand, well or badly.

Frames over TLS 1.3 with a key of its own; the few messages that the tests need, encoded here and not by Shoal's code.
"""

import base64
import re
import socket
import ssl
import struct
import subprocess

MAGIC = b"SHOL"
VERSION = 5
JOIN_REQUEST, JOIN_ACCEPTED, REJECT, HELLO, WELCOME, DATA_HELLO, FETCH_HELLO, TELEMETRY, PING, PONG, PLAN = range(1, 12)
FETCH_PIECE, PIECE_DATA = 22, 23
VERSION_MISMATCH, UNAUTHENTICATED = 8, 7  # shoal::ErrorCode


def varint(value):
    out = bytearray()
    while True:
        out.append((value & 0x7f) | (0x80 if value > 0x7f else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(number, value):
    """A protobuf field: bytes and text with their length, integers as varints."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """{number: value} of a message of varints and byte strings, the last of each number."""
    found, at = {}, 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = number()
        value = number()
        if tag & 7 == 2:
            at += value
            value = message[at - value:at]
        found[tag >> 3] = value
    return found


def frame(kind, message=b"", raw=b"", version=VERSION, magic=MAGIC, message_bytes=None, raw_bytes=None):
    return struct.pack("<4sHHII", magic, version, kind, len(message) if message_bytes is None else message_bytes,
                       len(raw) if raw_bytes is None else raw_bytes) + message + raw


def hello(name="peer"):
    return frame(HELLO, field(1, name) + field(2, "a test") + field(3, 2**20) + field(4, 1) + field(5, 9) + field(7, "none"))


def join_request(link, name="peer"):
    secret = re.search(r"s=([\w-]+)", link).group(1)
    return frame(JOIN_REQUEST, field(1, base64.urlsafe_b64decode(secret + "==")) + field(2, name))


class Key:
    """A key and its self-signed certificate, made by the openssl program in `directory`."""

    def __init__(self, directory):
        self.key = directory / "key.pem"
        self.certificate = directory / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                        self.key, "-out", self.certificate, "-subj", "/CN=peer", "-days", "2"], check=True,
                       capture_output=True)

    def context(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # who the other side is, is not what these tests are about
        context.verify_mode = ssl.CERT_NONE
        context.load_cert_chain(self.certificate, self.key)
        return context


class Peer:
    """A TLS connection to `address`, as a context manager."""

    def __init__(self, address, key, seconds=15):
        self.stream = key.context().wrap_socket(socket.create_connection(address, seconds))
        self.stream.settimeout(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()

    def send(self, data):
        self.stream.sendall(data)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.stream.recv(count - len(data))
            if not more:
                return None
            data += more
        return data

    def receive(self):
        """(kind, fields of the message, raw bytes) of the next frame; None when the other side has closed the link."""
        try:
            header = self._exactly(16)
            if header is None:
                return None
            _, _, kind, message_bytes, raw_bytes = struct.unpack("<4sHHII", header)
            return kind, fields(self._exactly(message_bytes)), self._exactly(raw_bytes)
        except (ConnectionError, ssl.SSLError):
            return None

    def until(self, kind):
        """The fields of the next frame of this kind; None when the link is closed before."""
        while True:
            got = self.receive()
            if got is None or got[0] == kind:
                return got and got[1]

    def closed(self):
        """Reads until the other side closes (a socket timeout when it does not); what it gave as a reason, or ""."""
        reason = ""
        while True:
            got = self.receive()
            if got is None:
                return reason
            if got[0] == REJECT:
                reason = got[1].get(2, b"").decode()


def pair(shoal, key, name="peer"):
    """Makes the key a paired node of the shoal."""
    with Peer(shoal.cluster_address, key) as peer:
        peer.send(join_request(shoal.token(), name))
        if peer.until(JOIN_ACCEPTED) is None:
            raise AssertionError("a good join link was refused")
