"""Names looked up as nginx does it: of the name servers in resolv.conf, without a hosts file or a search list.
May import: the standard library only."""

from __future__ import annotations

import ipaddress
import secrets
import socket
import struct
import time
from collections.abc import Sequence

_A, _AAAA = 1, 28
_HEADER = struct.Struct(">HHHHHH")  # RFC 1035, section 4.1.1
_RECORD = struct.Struct(">HHIH")
_TRIES = 2


class Unresolved(Exception):
    """No address; `reason` is a half sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def resolve(name: str, servers: Sequence[str], seconds: float, *, ipv6: bool, port: int = 53) -> list[str]:
    """All addresses of a name, IPv4 first. `servers` are written as nginx wants them. Raises Unresolved."""
    if not servers:
        raise Unresolved("this machine has no name server in /etc/resolv.conf")
    deadline, reason = time.monotonic() + seconds, "no name server answered in time"
    for server in [*servers] * _TRIES:
        pause = (deadline - time.monotonic()) / 2
        if pause <= 0.01:
            break
        try:
            found = [_ask(name, kind, (server.strip("[]"), port), pause) for kind in (_A, _AAAA)[: 1 + ipv6]]
        except OSError:
            continue
        if addresses := [address for part in found for address in part[1]]:
            return addresses
        reason = _REASONS.get(found[0][0], f"the name server answered with error {found[0][0]}")
        if found[0][0] in {0, 3}:
            break
    raise Unresolved(reason)


_REASONS = {
    0: "the name has no address",
    2: "the name server could not find out",
    3: "there is no such name",
    5: "the name server refused to answer",
}


def _ask(name: str, kind: int, server: tuple[str, int], seconds: float) -> tuple[int, list[str]]:
    """The answer's code and its addresses. Raises OSError; what does not fit the question is not an answer."""
    number = secrets.randbelow(1 << 16)
    try:
        labels = [label.encode("ascii") for label in name.rstrip(".").split(".")]
        question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0" + struct.pack(">HH", kind, 1)
    except (UnicodeEncodeError, ValueError):
        return 3, []
    family = socket.AF_INET6 if ":" in server[0] else socket.AF_INET
    until = time.monotonic() + seconds
    with socket.socket(family, socket.SOCK_DGRAM) as wire:
        wire.connect(server)
        wire.send(_HEADER.pack(number, 0x0100, 1, 0, 0, 0) + question)
        while (left := until - time.monotonic()) > 0:
            wire.settimeout(left)
            answer = wire.recv(4096)
            if len(answer) >= _HEADER.size and answer[:2] == number.to_bytes(2, "big") and answer[2] & 0x80:
                return answer[3] & 0x0F, _addresses(answer, kind)
    raise TimeoutError


def _addresses(answer: bytes, kind: int) -> list[str]:
    """The addresses in the answer section, also those at the end of a chain of aliases. A cut answer gives what is
    whole of it."""
    _, _, questions, answers, _, _ = _HEADER.unpack_from(answer)
    found: list[str] = []
    try:
        at = _HEADER.size
        for _ in range(questions):
            at = _skip_name(answer, at) + 4
        for _ in range(answers):
            at = _skip_name(answer, at)
            got, _, _, length = _RECORD.unpack_from(answer, at)
            at += _RECORD.size
            if got == kind:
                found.append(str(ipaddress.ip_address(answer[at : at + length])))
            at += length
    except (IndexError, ValueError, struct.error):
        return found
    return found


def _skip_name(answer: bytes, at: int) -> int:
    """Where the name that begins at `at` ends: at a zero, or at a pointer (RFC 1035, section 4.1.4)."""
    while answer[at]:
        if answer[at] & 0xC0:
            return at + 2
        at += 1 + answer[at]
    return at + 1
