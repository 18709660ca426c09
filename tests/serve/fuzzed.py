"""Requests and websocket frames that clients should not send, from a seed."""

import random
import struct

__all__ = ("STATUSES", "frames", "mutated", "request")

UPGRADE = (
    b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
)
REQUESTS = (
    b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n",
    b"HEAD %b HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET %b HTTP/1.0\r\nhost: x\r\n\r\n",
    b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    b"POST %b HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nabcde",
    b"POST %b HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nabcde",
    b"POST %b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n10;a=b\r\n0123456789abcdef\r\n0\r\n\r\n",
    b'POST %b HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"a": [1]',
    b"OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n",
    b"GET %b HTTP/1.1\r\nhost: x\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAM\r\n\r\n",
)
# All by which a server may answer what it does not understand, or what is not there; never an error of its own.
STATUSES = frozenset((100, 101, 200, 307, 400, 403, 404, 405, 408, 411, 413, 414, 417, 422, 426, 431))
PATHS = (b"/plain", b"/plain?stream=1", b"/api/", b"/api/items/1", b"/api/talk", b"/nowhere", b"/-/routes", b"/")
WORDS = (
    b"\r\n",
    b"\n",
    b"\0",
    b" ",
    b":",
    b"%zz",
    b"\xff\xfe",
    b"content-length: 18446744073709551616\r\n",
    b"content-length: -1\r\n",
    b"content-length: 3\r\n",
    b"transfer-encoding: chunked\r\n",
    b"transfer-encoding: gzip, chunked\r\n",
    b"upgrade: websocket\r\n",
    b"connection: upgrade\r\n",
    b"x-request-timeout-seconds: nan\r\n",
    b"x-request-id: \xe9\r\n",
    b"HTTP/2.0",
    b"FFFFFFFFFFFFFFFFF\r\n",
    b"zz\r\n",
    b"x-long: " + b"a" * 100_000 + b"\r\n",
    b"a: b\r\n" * 5_000,
)


def request(source: random.Random) -> bytes:
    """A request as it should be."""
    found = source.choice((*REQUESTS, UPGRADE))
    return found % source.choice(PATHS) if b"%b" in found else found


def mutated(source: random.Random) -> bytes:
    """Some requests, one after the other, in which something is wrong most of the time."""
    data = b"".join(request(source) for _ in range(source.choice((1, 1, 2, 5))))
    for _ in range(source.choice((0, 1, 1, 2, 4))):
        at = source.randrange(len(data) + 1)
        upto = min(len(data), at + source.randrange(1, 20))
        kind = source.randrange(5)
        if kind == 0:
            data = data[:at] + bytes(source.randrange(256) for _ in range(upto - at)) + data[upto:]
        elif kind == 1:
            data = data[:at] + data[upto:]
        elif kind == 2:
            data = data[:at] + data[at:upto] * source.randrange(2, 9) + data[upto:]
        elif kind == 3:
            data = data[:at] + source.choice(WORDS) + data[at:]
        else:
            data = data[:at]
        data = data or b"\r\n"
    return data


def frames(source: random.Random) -> bytes:
    """A websocket's beginning, and frames that are right or wrong."""
    return UPGRADE % b"/api/talk" + b"".join(_frame(source) for _ in range(source.randrange(1, 6)))


def _frame(source: random.Random) -> bytes:
    payload = source.choice((b"", b"abc", b"\xff\xfe\xfd", struct.pack("!H", source.randrange(5100)), b"x" * 70_000))
    opcode = source.choice((0, 1, 1, 2, 3, 8, 9, 10, 15))
    first = opcode | source.choice((0x80, 0x80, 0x80, 0, 0xC0, 0xF0))
    length = source.choice((len(payload),) * 4 + (2**40, 2**63))
    masked = source.choice((0x80, 0x80, 0x80, 0))
    if length < 126:
        head = bytes((first, masked | length))
    elif length < 1 << 16:
        head = bytes((first, masked | 126)) + struct.pack("!H", length)
    else:
        head = bytes((first, masked | 127)) + struct.pack("!Q", length)
    key = bytes(source.randrange(256) for _ in range(4)) if masked else b""
    body = bytes(byte ^ key[n % 4] for n, byte in enumerate(payload)) if masked and len(payload) < 1000 else payload
    whole = head + key + body
    return whole[: source.randrange(len(whole) + 1)] if source.random() < 0.1 else whole
