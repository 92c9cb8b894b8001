"""Waiting that a cancel ends.
May import: agent.dns.spec, agent.errors."""

from __future__ import annotations

import time

from agent.dns.spec import Guard
from agent.errors import TimedOut

_SLICE = 0.1


def pause(guard: Guard, seconds: float) -> None:
    """Sleeps, and looks at the guard ten times a second. Raises what the guard raises."""
    end = time.monotonic() + seconds
    guard.check()
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, _SLICE))
        guard.check()


class Deadline:
    """A guard that knows only a time: for tidying up, which a cancel does not stop, and for questions."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def check(self) -> None:
        """Raises TimedOut when the seconds have passed."""
        if self.remaining() <= 0:
            raise TimedOut("The DNS provider did not answer in time.")

    def remaining(self) -> float:
        """Seconds left."""
        return self._end - time.monotonic()

    def extend(self, seconds: float) -> None:
        """At least so many seconds from now, to tidy up."""
        self._end = max(self._end, time.monotonic() + seconds)
