"""The TCP ports that a run needs, and the sentence for each that cannot be had.
May import: the standard library and psutil."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Port:
    """One port: where it listens, what for, and the variable that changes it."""

    number: int
    host: str
    purpose: str
    variable: str


def complaints(ports: Sequence[Port]) -> list[str]:
    """One sentence for each port that is given twice, taken or forbidden; empty when all can be had."""
    return [sentence for sentence in (_shared(port, ports) or _refusal(port) for port in ports) if sentence]


def _shared(port: Port, ports: Sequence[Port]) -> str:
    """Two purposes on one port: said once, by the later one."""
    earlier = next((other for other in ports if other.number == port.number), port)
    if earlier is port:
        return ""
    return (
        f"Port {port.number} is given twice: {earlier.purpose} ({earlier.variable}) and {port.purpose} "
        f"({port.variable}). Change one of them."
    )


def _refusal(port: Port) -> str:
    family = socket.AF_INET6 if ":" in port.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.host, port.number))
            probe.listen(1)
        except OSError as error:
            return _explain(port, error)
    return ""


def _explain(port: Port, error: OSError) -> str:
    change = f"Choose another one: {port.variable}={port.number + 1000 if port.number < 64000 else 18080}"
    if error.errno == errno.EADDRINUSE:
        return f"Port {port.number} ({port.purpose}) is already used{_owner(port.number)}. {change}"
    if error.errno == errno.EACCES:
        return f"Port {port.number} ({port.purpose}) is for root only. {change}"
    return f"Port {port.number} on {port.host} ({port.purpose}) cannot be used: {error.strerror}. {change}"


def _owner(number: int) -> str:
    """Who listens there, as the end of a clause; empty when the system does not tell."""
    try:
        connections = psutil.net_connections("tcp")
        pids = {c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == number}
        names = [f"{psutil.Process(pid).name()} (process {pid})" for pid in sorted(p for p in pids if p)]
    except (psutil.Error, OSError):
        return ""
    return f" by {names[0]}" if names else ""
