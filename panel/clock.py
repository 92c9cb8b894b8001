"""Door 3, time: what is due is done here, and nowhere is anything waited for.
May import: panel.services, panel.models, panel.extensions, panel.config, panel.metrics."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

import gevent
from flask import Flask

from panel import metrics
from panel.config import Config
from panel.extensions import stopping, transaction, vitals, wake_after_commit
from panel.models import AgentStatus
from panel.models.types import utcnow
from panel.services import agents, outcomes, recovery, retention

log = logging.getLogger(__name__)

TICK_EVERY = 1.0  # seconds
PRUNE_EVERY = timedelta(hours=1)
LOOK_EVERY = 0.1  # seconds between looks at how late the process is
LAG_KEPT = 30.0  # seconds that the worst of them is remembered


class Clock:
    """Remembers what it has seen, so that a page is woken only when a status has changed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._statuses: dict[str, AgentStatus] = {}
        self._pruned_at: datetime | None = None

    def tick(self, now: datetime) -> None:
        """Does what is due at `now`, in short transactions. Call it in an application context."""
        with transaction():
            for command in recovery.expire_due(now):
                outcomes.settle(command)
        with transaction():
            self._watch(now)
        if self._pruned_at is None or abs(now - self._pruned_at) >= PRUNE_EVERY:
            self._pruned_at = now
            for step in retention.steps(now):
                with transaction():
                    step()
                gevent.sleep(0)  # pages and agents come in between

    def _watch(self, now: datetime) -> None:
        """Silence is no event: that an agent became stale or offline is noticed only here."""
        statuses = agents.statuses(now, self._config)
        if statuses != self._statuses:
            wake_after_commit("agents")
        self._statuses = statuses


def run(app: Flask) -> None:
    """Ticks until the process stops. A failing tick is logged and the next one comes all the same."""
    clock = Clock(app.config["WAYPOST"])
    while True:
        now = utcnow()
        try:
            with app.app_context():
                clock.tick(now)
        except Exception:  # the boundary of a clock tick
            log.exception("the clock's tick failed")
        else:
            vitals.clock_ticked_at = now
        if stopping.wait(TICK_EVERY):
            return


def watch_hub() -> None:
    """Measures until the process stops how late a greenlet is woken: that long everything else waited too."""
    worst_at = time.monotonic()
    while True:
        before = time.monotonic()
        if stopping.wait(LOOK_EVERY):
            return
        now = time.monotonic()
        lag = max(0.0, now - before - LOOK_EVERY)
        metrics.hub_lag.observe(lag)
        if lag >= vitals.hub_lag or now - worst_at > LAG_KEPT:
            vitals.hub_lag, worst_at = lag, now
