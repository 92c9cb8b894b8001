"""Ends a process whose main loop no longer turns, so that its supervisor starts it again.
May import: the standard library only."""

from __future__ import annotations

import logging
import os
import threading

_log = logging.getLogger(__name__)

EXIT_STUCK = 75
_LOOKS = 4  # in the time that the loop may take


class Watchdog:
    """Counts its own looks and not the time: a machine or process that was stopped as a whole is not stuck."""

    def __init__(self, seconds: float) -> None:
        """`seconds` that one turn of the loop may take."""
        self._seconds = seconds
        self._missed = 0

    def start(self) -> None:
        """Begins to watch; the thread ends with the process."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def beat(self) -> None:
        """The loop turns."""
        self._missed = 0

    def _watch(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._seconds / _LOOKS):
            self._missed += 1
            if self._missed > _LOOKS:
                _log.critical("the agent's loop has not turned for %g s; ending, to be started again", self._seconds)
                os._exit(EXIT_STUCK)
