"""What the process that sends may not do: connect to addresses that only this machine sees, read the panel's files,
write any, run programs. Libraries for a hundred services are not trusted to ask for nothing else.
May import: the standard library."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

# Where clouds tell a machine its own secrets, beside 169.254.0.0/16: AWS by IPv6, Alibaba, Azure, Oracle.
METADATA = frozenset(map(ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192")))
_NAT64 = ip_network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_BROADCAST = ip_address("255.255.255.255")

# What Python and its libraries read while they work; nothing of the panel's state is below these.
_PACKAGE = Path(__file__).resolve().parents[1]
_SYSTEM = ("/usr/", "/lib/", "/etc/ssl/", "/etc/pki/", "/etc/ca-certificates/", "/dev/null")
_ETC = ("mime.types", "hosts", "resolv.conf", "nsswitch.conf", "services", "localtime", "timezone", "os-release")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PROGRAMS = frozenset({"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"})


class Refused(PermissionError):
    """Something that this process may not do. An OSError, so that libraries treat it like any other refusal."""


def refusal_of(host: object) -> str:
    """Why nothing is sent to this address, as a sentence; "" when it may be. Names must be resolved before."""
    try:
        address = ip_address(str(host).partition("%")[0])
    except ValueError:
        return "The service was to be reached by something that is not an Internet address; this is not done."
    inner = _unwrap(address)
    if inner.is_link_local or inner in METADATA:
        return f"The address {address} belongs to this machine's own network services, so nothing is sent there."
    if inner.is_unspecified or inner.is_multicast or inner == _BROADCAST:
        return f"The address {address} is not the address of one machine. Use another one."
    return ""


def confine() -> list[str]:
    """From here on this process is confined, for good (PEP 578). Returns the list that sentences are added to."""
    refusals: list[str] = []
    readable = tuple({f"{Path(place).resolve()}/" for place in (sys.prefix, sys.base_prefix, _PACKAGE)})
    readable += (*_SYSTEM, *(f"/etc/{name}" for name in _ETC))
    rules: dict[str, Callable[[tuple[Any, ...]], str]] = {
        "open": lambda arguments: _judge_file(arguments, readable),
        **dict.fromkeys(("socket.connect", "socket.sendto", "socket.sendmsg"), _judge_address),
        **dict.fromkeys(_PROGRAMS, lambda _arguments: "The service needs a program on this machine; none is run."),
    }

    def judge(event: str, arguments: tuple[Any, ...]) -> None:
        rule = rules.get(event)
        sentence = rule(arguments) if rule else ""
        if sentence and not _is_netrc(event, arguments):
            refusals.append(sentence)
        if sentence:
            raise Refused(sentence)

    sys.addaudithook(judge)
    return refusals


def _judge_address(arguments: tuple[Any, ...]) -> str:
    """The audited arguments are the socket and the address, which is None for a socket that is connected."""
    address = arguments[1]
    if address is None:
        return ""
    return refusal_of(address[0] if isinstance(address, tuple) and address else address)


def _judge_file(arguments: tuple[Any, ...], readable: tuple[str, ...]) -> str:
    """The audited arguments are a path or a descriptor, a mode and flags."""
    path, _mode, flags = arguments
    if isinstance(path, int):
        return ""
    real = os.path.realpath(os.fsdecode(path))
    if real == "/dev/null" or (real.startswith(readable) and not (flags or 0) & _WRITES):
        return ""
    return "The service's settings name a file on this machine; none is read or written."


def _is_netrc(event: str, arguments: tuple[Any, ...]) -> bool:
    """The HTTP library looks for this file at every request: not reading it is no reason why something failed."""
    return event == "open" and str(arguments[0]).endswith("netrc")


def _unwrap(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside an IPv6 one: mapped, 6to4 (RFC 3056) or NAT64; else the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address
