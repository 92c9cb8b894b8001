"""The stages that a job's output shows, and a word now and then while it waits.
May import: agent.output."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agent.output import Output

_TELL_SECONDS = 10.0


@dataclass
class Steps:
    """The stages of the output, and which of them runs: a failure names it."""

    output: Output
    stage: str = "order"

    def begin(self, stage: str, text: str) -> None:
        """Begins a stage."""
        self.stage = stage
        self.output.stage(stage, text)


class News:
    """A line every ten seconds, so that a person sees that it goes on."""

    def __init__(self, output: Output) -> None:
        self._output, self._began, self._told = output, time.monotonic(), time.monotonic()

    def tell(self, text: str) -> None:
        """Says it when the time has come."""
        now = time.monotonic()
        if now - self._told >= _TELL_SECONDS:
            self._told = now
            self._output.info(f"{text} after {now - self._began:.0f} seconds.")
