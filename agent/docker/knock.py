"""Whether somebody answers at the Engine's address, found out without the package docker; and what to do when not.
May import: agent.errors."""

from __future__ import annotations

import socket
from pathlib import Path

from agent.errors import AgentError

KNOCK_SECONDS = 10


class DockerUnavailable(AgentError):
    """The Engine does not answer, or not to this agent; the sentence says what to do."""


def knock(host: str) -> None:
    """Tries the socket, because the library wraps why it cannot be used, leaves it open, and costs 20 MB even where
    there is no Engine. Raises DockerUnavailable."""
    if not host.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(KNOCK_SECONDS)
        try:
            probe.connect(host.removeprefix("unix://"))
        except OSError as error:
            raise DockerUnavailable(why_unavailable(host, error)) from error


def has_address(host: str) -> bool:
    """Whether there could be an Engine: a socket that exists, or an address on the network."""
    return bool(host) and (not host.startswith("unix://") or Path(host.removeprefix("unix://")).exists())


def why_unavailable(host: str, error: BaseException) -> str:
    """What a person can do about it, found in the chain of errors that the library wraps."""
    text = repr(error)
    if "PermissionError" in text or "Permission denied" in text:
        return (
            f"The agent may not use the Docker Engine at {host}. Give its user the socket's group, or run a socket "
            "proxy with the rights that docs/operations.md lists."
        )
    if "FileNotFoundError" in text or "No such file" in text:
        return f"There is no Docker Engine at {host}. Mount its socket there, or set AGENT_DOCKER_HOST."
    if "ConnectionRefused" in text or "Connection refused" in text:
        return f"The Docker Engine at {host} does not run. Start it; what Waypost manages is put back by itself."
    if "timed out" in text.lower() or "timeout" in text.lower():
        return f"The Docker Engine at {host} did not answer in time. It may be busy; it is asked again."
    return f"The Docker Engine at {host} cannot be spoken to ({type(error).__name__})."
