"""A steady load of visitors on hosts that must always answer; each failure is kept with its time and its words.
May import: the standard library and tests.product."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from http.client import HTTPException
from types import TracebackType
from typing import Self

from tests.product import fetch

PAUSE = 0.02  # seconds between two visits of one visitor


@dataclass(frozen=True)
class Failure:
    """One visit that was not answered as it must be. `at` is time.monotonic() when it began, `until` when it ended."""

    at: float
    until: float
    site: str
    words: str


@dataclass
class Visitors:
    """Threads that visit `sites` in turn, each time on a new connection. Use it as a context manager.

    `sites` maps a name to the text that its answer must begin with; names may be added while visitors run.
    """

    port: int
    sites: dict[str, str]
    count: int = 2
    answered: int = 0
    failures: list[Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._visit_on, daemon=True) for _ in range(self.count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _visit_on(self) -> None:
        while True:
            for site, text in list(self.sites.items()):
                if self._over.wait(PAUSE):
                    return
                self._visit(site, text)

    def _visit(self, site: str, text: str) -> None:
        began = time.monotonic()
        try:
            answer = fetch(self.port, site)
            is_right = answer.status == 200 and answer.body.startswith(text)
            words = "" if is_right else f"{answer.status}: {answer.body[:80]}"
        except (OSError, HTTPException) as error:
            words = f"{type(error).__name__}: {error}"
        with self._lock:
            if words:
                self.failures.append(Failure(began, time.monotonic(), site, words))
            else:
                self.answered += 1
