"""Places where a test can kill, break or hang the panel. They do nothing unless PANEL_FAILPOINT names one.
May import: the standard library only."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass

NAMES = frozenset({"before_write", "after_write", "before_commit", "after_commit", "before_ack", "news_sent"})
ACTIONS = ("kill", "raise", "hang")


class FailpointReached(Exception):
    """What the action `raise` raises."""


class NoSuchFailpoint(Exception):
    """The variable names a place that does not exist."""


@dataclass
class _Armed:
    name: str
    action: str
    left: int


_armed: _Armed | None = None


def arm(text: str) -> None:
    """Arms one failpoint, `name[:kill|raise|hang][:nth]`; an empty text arms none. Raises NoSuchFailpoint.

    Called once, at the program's start. The action is `kill` and the passage the first one unless they are given.
    """
    global _armed  # noqa: PLW0603 - one per process, so that an unarmed failpoint costs one comparison
    _armed = _parse(text) if text else None


def hit(name: str) -> None:
    """The program passes the place `name`."""
    if _armed is not None and _armed.name == name:
        _pass(_armed)


def _parse(text: str) -> _Armed:
    words = text.split(":")
    nth = int(words.pop()) if words[-1].isdigit() else 1
    action = words.pop() if words[-1] in ACTIONS else ACTIONS[0]
    name = ":".join(words)
    if name not in NAMES or nth < 1:
        raise NoSuchFailpoint(f"there is no failpoint {text!r}")
    return _Armed(name, action, nth)


def _pass(armed: _Armed) -> None:
    armed.left -= 1
    if armed.left:
        return
    if armed.action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if armed.action == "raise":
        raise FailpointReached(armed.name)
    threading.Event().wait()
