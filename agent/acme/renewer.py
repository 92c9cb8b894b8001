"""Begins what is due: renewals, retries, looks at renewal information. Needs no panel.
May import: agent.errors and the parts of agent.acme below agent.runner."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from agent.acme.certificates import Certificates
from agent.acme.lineage import Lineages
from agent.acme.schedule import Action, heal_clock, next_action
from agent.acme.state import Memory, changes_between
from agent.acme.store import Store

_log = logging.getLogger(__name__)

# The longest sleep: a clock that somebody sets is noticed after it.
LOOK_SECONDS = 60.0
# After something was begun about a certificate nothing more is until something else is remembered: a full disk
# remembers nothing.
HOLD_SECONDS = 60.0
# When there was no room to begin something.
CROWDED_SECONDS = 5.0
_JUMP_SECONDS = 5.0


@dataclass(frozen=True)
class Doors:
    """How work is begun. `renew` journals and runs a renewal, and answers whether it did; `beside` runs a task when
    nothing else is done about the certificate."""

    renew: Callable[[str], bool]
    beside: Callable[[str, Callable[[], None]], None]


class Renewer:
    """One thread, which sleeps until the next stored action and is woken by changes."""

    def __init__(
        self,
        certificates: Certificates,
        store: Store,
        lineages: Lineages,
        doors: Doors,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._certificates = certificates
        self._store = store
        self._lineages = lineages
        self._doors = doors
        self._now = now
        self._held: dict[str, tuple[float, Memory | None]] = {}
        self._news = threading.Condition()
        self._is_woken = self._is_stopped = False
        self._clocks = (now().timestamp(), time.monotonic())
        self._thread = threading.Thread(target=self._work, name="renewer", daemon=True)

    def start(self) -> None:
        """Begins; what became due while the agent was away is done at once."""
        self._thread.start()

    def stop(self) -> None:
        """Begins nothing more."""
        with self._news:
            self._is_stopped = True
            self._news.notify_all()

    def wake(self) -> None:
        """Something about certificates is new."""
        with self._news:
            self._is_woken = True
            self._news.notify_all()

    def look(self) -> float:
        """Begins what is due, and answers after how many seconds to look again."""
        self._watch_clock()
        now, ticks = self._now(), time.monotonic()
        pause = LOOK_SECONDS
        for memory in self._store.all():
            healed = heal_clock(memory, now)
            if healed is not memory:
                self._store.amend(memory.name, **changes_between(memory, healed))
            action = next_action(healed, self._lineages.look(memory.name).leaf, now)
            if action is None:
                continue
            wait = max((action.at - now).total_seconds(), self._hold(healed) - ticks)
            pause = min(pause, wait if wait > 0 else self._begin(healed, action))
        return max(0.0, pause)

    def _hold(self, memory: Memory) -> float:
        """Until when nothing is begun, on the monotonic clock."""
        until, known = self._held.get(memory.name, (0.0, None))
        return until if known is None or known == memory else 0.0

    def _begin(self, memory: Memory, action: Action) -> float:
        """Seconds after which this certificate is looked at again."""
        name = memory.name
        self._held[name] = (time.monotonic() + HOLD_SECONDS, memory)
        if action.kind == "ask":
            self._doors.beside(name, lambda: self._ask(name))
        elif not self._doors.renew(name):
            self._held[name] = (time.monotonic() + CROWDED_SECONDS, None)
            return CROWDED_SECONDS
        else:
            _log.info("the renewal of %s is due and begins", name)
        return HOLD_SECONDS

    def _ask(self, name: str) -> None:
        try:
            self._certificates.ask(name)
        except (OSError, ValueError, sqlite3.Error):
            _log.exception("the renewal information of %s could not be asked for or kept", name)
        self.wake()

    def _watch_clock(self) -> None:
        wall, ticks = self._now().timestamp(), time.monotonic()
        jump = (wall - self._clocks[0]) - (ticks - self._clocks[1])
        self._clocks = (wall, ticks)
        if abs(jump) > _JUMP_SECONDS:
            _log.warning("this machine's clock was moved by %.0f s; the times of renewals are looked at anew", jump)

    def _work(self) -> None:
        while True:
            pause = self._look_safely()
            with self._news:
                self._news.wait_for(lambda: self._is_woken or self._is_stopped, pause)
                self._is_woken = False
                if self._is_stopped:
                    return

    def _look_safely(self) -> float:
        try:
            return self.look()
        except Exception:  # noqa: BLE001 - the boundary of a tick: whatever is wrong with one look, the next one comes
            _log.exception("what is due could not be looked at; trying again")
            return LOOK_SECONDS
