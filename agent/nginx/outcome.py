"""How an apply ended.
May import: agent.nginx.words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.nginx.words import FileError


@dataclass(frozen=True)
class Outcome:
    """How an apply ended. `revision` is what nginx serves now, proved; empty when that is unknown or nothing."""

    revision: str
    error: str = ""
    failed_stage: str = ""
    rolled_back: bool = False
    degraded: bool = False
    file_errors: tuple[FileError, ...] = ()
    warnings: tuple[str, ...] = ()


# What a finished apply reports when the agent died between its last phase and its result.
ENDED: dict[str, Callable[[str], Outcome]] = {
    "applied": Outcome,
    "rolled_back": lambda _: Outcome(
        "", "nginx refused the change; the files were put back.", "prove", rolled_back=True
    ),
    "degraded": lambda _: Outcome(
        "", "The change failed, and putting the files back failed too.", "prove", degraded=True
    ),
}
