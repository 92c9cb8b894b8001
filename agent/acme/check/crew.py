"""Threads that never keep the agent from ending, for work that mostly waits.
May import: agent.acme.check.surroundings."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

from agent.acme.check.surroundings import Deadline

SIZE = 32

Result = TypeVar("Result")


class Crew:
    """A few daemon threads. (Those of concurrent.futures are waited for when the process ends, however long a library
    keeps them.) `close` must be called."""

    def __init__(self, name: str, size: int = SIZE) -> None:
        self._name = name
        self._size = size
        self._threads = 0
        self._waiting: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()

    def submit(self, call: Callable[[], Result]) -> Future[Result]:
        """Runs it as soon as a thread is free; what it raises is raised by `result()`."""
        future: Future[Result] = Future()
        self._waiting.put((call, future))
        if self._threads < self._size:
            self._threads += 1
            threading.Thread(target=self._work, name=f"{self._name}-{self._threads}", daemon=True).start()
        return future

    def close(self) -> None:
        """Lets the threads end when what was given to them is done."""
        for _ in range(self._threads):
            self._waiting.put(None)

    def _work(self) -> None:
        while (task := self._waiting.get()) is not None:
            call, future = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - it is raised again for who asks for the result
                future.set_exception(error)
            else:
                future.set_result(result)


def in_parallel(calls: Sequence[Callable[[], Result]], deadline: Deadline, late: Result) -> list[Result]:
    """All at once; `late` stands for each that has not ended by the deadline. Raises what a call raised."""
    crew = Crew("check-part", max(1, len(calls)))
    futures = [crew.submit(call) for call in calls]
    crew.close()
    return [_result(future, deadline, late) for future in futures]


def _result(future: Future[Result], deadline: Deadline, late: Result) -> Result:
    try:
        return future.result(deadline.remaining())
    except TimeoutError:
        if future.done():
            raise  # the call's own
        return late
