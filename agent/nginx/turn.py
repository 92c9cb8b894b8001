"""Whose turn it is to change what nginx reads, and who waits for the next release.
May import: agent.nginx.guard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from agent.nginx.guard import Guard

# How soon a waiter notices that it was cancelled.
_LOOK_SECONDS = 0.5


class Turn:
    """One lock for all that makes nginx read files: an apply, a reload, a switch of certificates. A reload in the
    middle of another's change would prove nothing about either."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._released = threading.Condition(self._lock)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Waits until nobody else changes anything."""
        with self._lock:
            yield

    def release(self) -> None:
        """A new release is live: whoever waits for one looks again."""
        with self._released:
            self._released.notify_all()

    def wait_until(self, is_so: Callable[[], bool], seconds: float, guard: Guard) -> bool:
        """Until something holds, asked now and after each release, never in the middle of an apply. False when it did
        not come true in so many seconds. Raises what the guard raises."""
        deadline = time.monotonic() + seconds
        with self._released:
            while not is_so():
                guard.check()
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._released.wait(min(left, _LOOK_SECONDS))
        return True
