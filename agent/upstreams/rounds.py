"""Looks at all upstreams from time to time, and at once when something happened that concerns them.
May import: agent.docker, agent.errors, agent.upstreams."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from agent.docker.snapshot import Snapshot
from agent.errors import AgentError
from agent.upstreams.check import Checker
from agent.upstreams.sight import Sight, look_at
from agent.upstreams.store import UpstreamStore
from agent.upstreams.upstream import State, Upstream

_log = logging.getLogger(__name__)

PERIOD = 60.0  # seconds between two checks of the same upstream
FIRST_RETRY = 2.0  # seconds after a failure; doubled with each further one up to the period
THREADS = 4
# A program in nginx's container costs the machine about 60 ms; so many upstreams wait longer for their turn.
SECONDS_EACH = 0.5
GIVE_UP_SECONDS = 20.0


class Rounds:
    """One thread that sleeps, and a few for the length of a round. Never two checks of one upstream at a time."""

    def __init__(
        self,
        store: UpstreamStore,
        checker: Checker,
        look: Callable[[], Snapshot | None],
        tell: Callable[[Sequence[State]], None],
    ) -> None:
        """`look` asks the Engine, None where there is none; it raises AgentError. `tell` gets the states of all
        upstreams after each round in which one of them changed."""
        self._store, self._checker, self._look, self._tell = store, checker, look, tell
        self._states: dict[Upstream, State] = {}
        self._sights: dict[Upstream, Sight] = {}
        self._due: dict[Upstream, float] = {}
        self._failures: dict[Upstream, int] = {}
        self._running: dict[Upstream, Future[State]] = {}
        self._news = threading.Condition()
        self._has_news = True
        self._is_stopped = False
        self._thread = threading.Thread(target=self._work, name="upstreams", daemon=True)

    def start(self) -> None:
        """Begins with what the current release leads to."""
        self._thread.start()

    def stop(self) -> None:
        """Begins no further round; one under way is ended by its own limits."""
        with self._news:
            self._is_stopped = True
            self._news.notify_all()

    def applied(self) -> None:
        """Another release may be live: its upstreams are looked at now."""
        with self._news:
            self._due.clear()
            self._failures.clear()
            self._wake()

    def changed(self, snapshot: Snapshot | None) -> None:
        """Something happened to containers or networks: those that it concerns are looked at now."""
        with self._news:
            for upstream in list(self._due):
                sight = self._sights.get(upstream)  # none when the Engine was away at the last look
                if sight is None or snapshot is None or look_at(upstream, snapshot) != sight:
                    self._due.pop(upstream)
                    self._failures.pop(upstream, None)
            self._wake()

    def states(self) -> list[State]:
        """What is known now."""
        with self._news:
            return list(self._states.values())

    def check(self, upstream: Upstream) -> State:
        """For somebody who asks; joins a check that is under way. Raises AgentError."""
        state = self._check(upstream, self._look())
        with self._news:
            is_known = upstream in self._states
            is_new = is_known and _is_other(self._states[upstream], state)
            if is_known:
                self._states[upstream] = state
        if is_new:
            self._tell(self.states())
        return state

    def _wake(self) -> None:
        self._has_news = True
        self._news.notify_all()

    # ---- the thread ----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while self._wait():
            try:
                self._round()
            except AgentError as error:  # no Engine, or nginx's container is down: the next event or round tells more
                _log.debug("upstreams are not looked at now: %s", error.message)
                self._rest()
            except Exception:  # noqa: BLE001 - the boundary of a round: whatever is wrong with one, the next one comes
                _log.exception("upstreams could not be looked at; trying again")
                self._rest()

    def _rest(self) -> None:
        """Until the next round is due, or something happens."""
        with self._news:
            self._sights.clear()
            self._due = dict.fromkeys(self._due, time.monotonic() + PERIOD)

    def _wait(self) -> bool:
        """Until something is due or somebody says that something happened. False when it is over."""
        with self._news:
            while not self._is_stopped and not self._has_news:
                pause = min(self._due.values(), default=time.monotonic() + PERIOD) - time.monotonic()
                if pause <= 0:
                    break
                self._news.wait(pause)
            self._has_news = False
            return not self._is_stopped

    def _round(self) -> None:
        upstreams = self._store.current()
        is_other = self._keep_only(upstreams)
        due = self._take_due(upstreams)
        if due:
            snapshot = self._look()
            with self._news:
                self._sights.update((one, look_at(one, snapshot) if snapshot else Sight()) for one in due)
            with ThreadPoolExecutor(THREADS, "upstream") as pool:
                is_other |= any(list(pool.map(lambda one: self._check_due(one, snapshot, len(upstreams)), due)))
        if is_other:
            self._tell(self.states())

    def _keep_only(self, upstreams: Iterable[Upstream]) -> bool:
        """Forgets those that no host leads to any more; answers whether there were some."""
        wanted = set(upstreams)
        with self._news:
            gone = [one for one in self._states if one not in wanted]
            for known in (self._states, self._sights, self._due, self._failures):
                for one in [one for one in known if one not in wanted]:
                    known.pop(one)
        return bool(gone)

    def _take_due(self, upstreams: Sequence[Upstream]) -> list[Upstream]:
        now = time.monotonic()
        with self._news:
            due = [one for one in upstreams if self._due.get(one, 0.0) <= now]
            self._due.update(dict.fromkeys(due, now + PERIOD))
        return due

    def _check_due(self, upstream: Upstream, snapshot: Snapshot | None, count: int) -> bool:
        """Checks one and says when it is due again; answers whether anything about it changed."""
        if self._is_stopped:
            return False
        try:
            state = self._check(upstream, snapshot)
        except AgentError as error:
            _log.debug("%s is not looked at now: %s", upstream, error.message)
            return False
        with self._news:
            is_other = upstream not in self._states or _is_other(self._states[upstream], state)
            self._states[upstream] = state
            failures = self._failures[upstream] = self._failures.get(upstream, 0) + 1 if state.finding.cause else 0
            period = max(PERIOD, SECONDS_EACH * count)
            pause = min(period, FIRST_RETRY * 2 ** min(failures - 1, 10)) if failures else period
            if upstream in self._due:  # else something happened meanwhile, and it is looked at again at once
                self._due[upstream] = time.monotonic() + pause
        return is_other

    def _check(self, upstream: Upstream, snapshot: Snapshot | None) -> State:
        with self._news:
            running = self._running.get(upstream)
            if running is None:
                mine = self._running[upstream] = Future[State]()
        if running is not None:
            return running.result(GIVE_UP_SECONDS)
        try:
            mine.set_result(self._checker.check(upstream, snapshot))
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._news:
                del self._running[upstream]
        return mine.result()


def _is_other(before: State, now: State) -> bool:
    """Whether people would read something else. When it was, and how long it took, is no news."""
    return before.finding != now.finding
