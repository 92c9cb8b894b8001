"""Signs of life for agents that are not there, so that a demo looks as it would with them.
May import: panel.services, panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sqlalchemy import select, update

from panel.errors import Conflict
from panel.extensions import db, transaction
from panel.models import Agent, Event
from panel.models.types import utcnow

EVERY = 5.0  # seconds


def agents_of_demo() -> Sequence[str]:
    """The ids of the agents that the demo says are online. Raises Conflict in a panel that holds no demo."""
    event = db.session.scalar(select(Event).where(Event.verb == "panel:demo").order_by(Event.id.desc()).limit(1))
    if event is None or event.after is None:
        raise Conflict("This panel holds no demo. Make one with `flask demo seed` in a fresh panel.")
    return list(event.after["online"])


def beat(agent_ids: Sequence[str]) -> None:
    """One sign of life of each."""
    values = {"is_connected": True, "is_synced": True, "last_seen_at": utcnow()}
    with transaction():
        db.session.execute(update(Agent).where(Agent.id.in_(agent_ids)).values(**values))


def keep(*, sleep: Callable[[float], object] = time.sleep) -> None:
    """Goes on until somebody interrupts it. Raises Conflict in a panel that holds no demo."""
    agent_ids = agents_of_demo()
    while True:
        beat(agent_ids)
        sleep(EVERY)
