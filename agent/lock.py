"""Keeps a state folder for one agent process.
May import: agent.errors."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import AgentError


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Holds the folder until the block or the process ends; two agents on one journal would run each command twice.

    Raises AgentError when another process holds it.
    """
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AgentError(f"Another agent runs with {folder}. Stop it first.") from None
        yield
