"""Threads that run tasks: one after the other within a lane, lanes beside each other.
May import: the standard library only."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

_log = logging.getLogger(__name__)

Task = Callable[[], None]


class Lanes:
    """Up to `size` threads, begun when they are needed. A lane is a resource: "nginx", "acme:www.example.com"."""

    def __init__(self, name: str, size: int) -> None:
        self._name = name
        self._size = size
        self._lanes: dict[str, deque[Task]] = {}
        self._ready: deque[str] = deque()
        self._news = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_started = False
        self._is_stopped = False

    def start(self) -> None:
        """Begins with what was put in until now."""
        with self._news:
            self._is_started = True
            for _ in self._ready:
                self._need_thread()
            self._news.notify_all()

    def put(self, lane: str, task: Task) -> None:
        """Runs a task when its lane is free; never in the caller's thread."""
        with self._news:
            waiting = self._lanes.get(lane)
            if waiting is not None:
                waiting.append(task)
                return
            self._lanes[lane] = deque([task])
            self._ready.append(lane)
            if self._is_started:
                self._need_thread()
                self._news.notify()

    def is_busy(self, lane: str) -> bool:
        """Whether something runs or waits there."""
        with self._news:
            return lane in self._lanes

    def count(self) -> int:
        """How many lanes have something to do."""
        with self._news:
            return len(self._lanes)

    def stop(self, timeout: float) -> bool:
        """Begins nothing more and waits up to `timeout` seconds for what runs; answers whether all of it ended."""
        with self._news:
            self._is_stopped = True
            self._news.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _need_thread(self) -> None:
        if len(self._threads) < self._size and self._idle < len(self._ready):
            name = f"{self._name}-{len(self._threads)}"
            self._threads.append(threading.Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()

    def _work(self) -> None:
        while (lane := self._next()) is not None:
            task = self._lanes[lane][0]
            try:
                task()
            except Exception:  # noqa: BLE001 - the boundary of a task: a bug ends it and not the lane
                _log.exception("a task of %s failed", lane)
            self._leave(lane)

    def _next(self) -> str | None:
        with self._news:
            self._idle += 1
            while not self._ready and not self._is_stopped:
                self._news.wait()
            self._idle -= 1
            return None if self._is_stopped else self._ready.popleft()

    def _leave(self, lane: str) -> None:
        """A lane with more to do goes to the end of the line, so that none keeps the others waiting."""
        with self._news:
            self._lanes[lane].popleft()
            if self._lanes[lane]:
                self._ready.append(lane)
                self._news.notify()
            else:
                del self._lanes[lane]
