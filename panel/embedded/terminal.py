"""What the supervisor says, calmly: plain sentences, children's lines under their names, colour only on a terminal.
May import: the standard library."""

from __future__ import annotations

import os
import sys

_DIM, _YELLOW, _BOLD, _RESET = "\x1b[2m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


class Terminal:
    """Standard output. NO_COLOR and pipes get none."""

    def __init__(self) -> None:
        self._colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(self, sentence: str) -> None:
        """A sentence of the supervisor itself."""
        self._print(sentence)

    def title(self, sentence: str) -> None:
        """The sentence that a person looks for."""
        self._print(self._paint(_BOLD, sentence))

    def note(self, name: str, line: str) -> None:
        """A line about one child."""
        self._print(f"{self._paint(_DIM, f'{name:>6}')}  {line}")

    def warn(self, name: str, line: str) -> None:
        """A line about or from one child that a person should see."""
        self._print(f"{self._paint(_YELLOW, f'{name:>6}')}  {line}")

    def _paint(self, style: str, text: str) -> str:
        return f"{style}{text}{_RESET}" if self._colour else text

    @staticmethod
    def _print(line: str) -> None:
        try:
            print(line, flush=True)
        except BrokenPipeError:
            # The terminal is gone; the log files go on, and SIGHUP or SIGTERM ends the run.
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - stays open until the process ends
