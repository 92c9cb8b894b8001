"""Door 3, time: what is due is done here, and nowhere is anything waited for.
May import: panel.services, panel.models, panel.extensions, panel.config, panel.metrics."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

import gevent
from flask import Flask, current_app
from gevent.pool import Pool

from panel import metrics
from panel.config import Config
from panel.extensions import stopping, transaction, vitals, wake_after_commit
from panel.models import AgentStatus
from panel.models.types import utcnow
from panel.services import agents, deliveries, notifications, outcomes, recovery, retention
from panel.services.deliveries import Parcel

log = logging.getLogger(__name__)

TICK_EVERY = 1.0  # seconds
PRUNE_EVERY = timedelta(hours=1)
LOOK_EVERY = 0.1  # seconds between looks at how late the process is
LAG_KEPT = 30.0  # seconds that the worst of them is remembered
LOOK_FOR_EXPIRY_EVERY = timedelta(minutes=1)
CHANNELS_AT_ONCE = 3  # each is a process while it sends
SENDING_GRACE = 2.0  # seconds for messages under way when the panel stops; later ones are sent after the next start


class Clock:
    """Remembers what it has seen, so that a page is woken only when a status has changed."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._statuses: dict[str, AgentStatus] = {}
        self._pruned_at: datetime | None = None
        self._looked_at: datetime | None = None
        self._senders = Pool(CHANNELS_AT_ONCE)

    def tick(self, now: datetime) -> None:
        """Does what is due at `now`, in short transactions. Call it in an application context."""
        with transaction():
            for command in recovery.expire_due(now):
                outcomes.settle(command)
        with transaction():
            self._watch(now)
        if self._looked_at is None or abs(now - self._looked_at) >= LOOK_FOR_EXPIRY_EVERY:
            self._looked_at = now
            with transaction():
                notifications.expiring(now)
        self._send_news(now)
        if self._pruned_at is None or abs(now - self._pruned_at) >= PRUNE_EVERY:
            self._pruned_at = now
            for step in retention.steps(now):
                with transaction():
                    step()
                gevent.sleep(0)  # pages and agents come in between

    def finish_sending(self, timeout: float = SENDING_GRACE) -> None:
        """Waits up to `timeout` seconds for messages under way, then ends the processes that send them."""
        self._senders.join(timeout=timeout)
        self._senders.kill()

    def _send_news(self, now: datetime) -> None:
        """Messages that are due, each channel in a greenlet of its own: a slow one delays no tick and no other."""
        if not self._senders.free_count() or not deliveries.has_due(now):
            return
        with transaction():
            claimed = deliveries.claim(now, self._config, self._senders.free_count())
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001 - for a greenlet
        for parcels in claimed.values():
            self._senders.spawn(_send, app, parcels)

    def _watch(self, now: datetime) -> None:
        """Silence is no event: that an agent became stale or offline is noticed only here."""
        statuses = agents.statuses(now, self._config)
        if statuses != self._statuses:
            wake_after_commit("agents")
        self._statuses = statuses


def run(app: Flask) -> None:
    """Ticks until the process stops. A failing tick is logged and the next one comes all the same."""
    clock = Clock(app.config["WAYPOST"])
    try:
        _tick_until_stopped(app, clock)
    finally:
        clock.finish_sending()


def _tick_until_stopped(app: Flask, clock: Clock) -> None:
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


def _send(app: Flask, parcels: list[Parcel]) -> None:
    """The messages of one channel, one after the other. What is not settled is sent after its claim has run out."""
    for parcel in parcels:
        outcome = deliveries.send(parcel)
        with app.app_context(), transaction():
            deliveries.settle(parcel, outcome, utcnow())


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
