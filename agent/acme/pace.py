"""How fast an authority is asked, and how a job waits: never past its deadline, a cancel or the agent's stop.
May import: agent.nginx.guard."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

from agent.nginx.guard import Guard

# Let's Encrypt's staging answers 503 above 20 requests per second; its production takes ten times as many.
REQUESTS_PER_SECOND, REQUESTS_AT_ONCE = 18.0, 18
ORDERS_PER_SECOND, ORDERS_AT_ONCE = 1.0, 10
FIRST_LOOK = 0.05  # seconds after asking
_PATIENT = 60.0  # an authority that wants to be asked later than that is looked at nevertheless
_SLICE = 0.2  # seconds; a stop of the agent is noticed within


class Bucket:
    """A token bucket. Thread-safe."""

    def __init__(self, rate: float, size: int) -> None:
        """`rate` per second, and `size` at once."""
        self._rate, self._size = rate, float(size)
        self._left, self._at = float(size), time.monotonic()
        self._lock = threading.Lock()

    def take(self) -> float:
        """Takes one, and returns in how many seconds it may be used: 0 when at once."""
        with self._lock:
            now = time.monotonic()
            self._left = min(self._size, self._left + (now - self._at) * self._rate) - 1
            self._at = now
            return max(0.0, -self._left / self._rate)


class Throttle:
    """What all jobs together may ask of one authority. A test authority is asked as fast as it answers."""

    def __init__(self, *, unlimited: bool = False) -> None:
        self._unlimited = unlimited
        self._requests = Bucket(REQUESTS_PER_SECOND, REQUESTS_AT_ONCE)
        self._orders = Bucket(ORDERS_PER_SECOND, ORDERS_AT_ONCE)

    def request(self) -> float:
        """Seconds to wait before the next request."""
        return 0.0 if self._unlimited else self._requests.take()

    def order(self) -> float:
        """Seconds to wait before the next new order."""
        return 0.0 if self._unlimited else self._orders.take()


def wait(guard: Guard, seconds: float) -> None:
    """Waits so long. Raises Stopping, Cancelled or TimedOut as soon as the guard says so."""
    until = time.monotonic() + min(seconds, max(0.0, guard.remaining()) + _SLICE)
    guard.check()
    while (left := until - time.monotonic()) > 0:
        guard.cancelled.wait(min(_SLICE, left))
        guard.check()


def delays() -> Iterator[float]:
    """Seconds between two looks: short first, because most answers come at once, then up to two."""
    delay = FIRST_LOOK
    while True:
        yield delay
        delay = min(2.0, delay * 1.6)


def patience(hints: Sequence[float | None], delay: float) -> float:
    """Seconds until the next look: what the authority asks for (Retry-After), else our own delay."""
    asked = [hint for hint in hints if hint is not None]
    return min(_PATIENT, max(delay, min(asked))) if asked else delay
