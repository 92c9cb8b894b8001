"""How something stands, as pages show it in a pill, and which of two states is the worse one.
May import: the standard library only."""

from __future__ import annotations

from dataclasses import dataclass

SEVERITY = {"bad": 0, "warn": 1, "run": 2, "ok": 3, "off": 4}


@dataclass(frozen=True)
class Status:
    """A pill: `tone` gives shape and colour (ok, warn, bad, off, run), `word` says it, `detail` explains it."""

    tone: str
    word: str
    detail: str
