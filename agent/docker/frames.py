"""What a program in a container writes, taken out of the Engine's frames; with a deadline, which the library lacks.
May import: the standard library only."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

MAX_OUTPUT = 2 << 20
_HEADER = struct.Struct(">BxxxL")  # which stream, three zeros, length (Engine API, "Attach to a container")


def read_output(stream: Any, deadline: float) -> bytes:
    """Both streams in the order in which they came, until the program ends. `stream` is what the library calls a
    socket; `deadline` is on the monotonic clock. Raises TimeoutError."""
    connection: socket.socket = getattr(stream, "_sock", stream)
    output = bytearray()
    while header := _read(connection, _HEADER.size, deadline):
        _, length = _HEADER.unpack(header)
        output += _read(connection, length, deadline)[: MAX_OUTPUT - len(output)]
    return bytes(output)


def _read(connection: socket.socket, length: int, deadline: float) -> bytes:
    """Exactly so many bytes; nothing when the other side has ended."""
    read = bytearray()
    while len(read) < length:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        connection.settimeout(left)
        piece = connection.recv(min(length - len(read), 65536))
        if not piece:
            return b""
        read += piece
    return bytes(read)
