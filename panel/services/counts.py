"""The numbers of the navigation.
May import: panel.services.{certificate_queries,host_queries}, panel.models, panel.extensions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from panel.extensions import db
from panel.models import BACKGROUND_KINDS, OPEN_STATES, Agent, Certificate, Command, ProxyHost
from panel.models.types import utcnow
from panel.services import certificate_queries, host_queries


@dataclass(frozen=True)
class Counts:
    """How many there are of each noun, and how many of them work now."""

    hosts: int
    hosts_refused: int  # those that nginx refused as they are saved
    certificates: int
    agents: int
    agents_online: int
    running_jobs: int
    certificates_due: int  # those that end soon, cannot be renewed, or are missing

    @property
    def has_absent_agents(self) -> bool:
        """Whether an agent is not online."""
        return self.agents_online < self.agents


def read(*, stale_after: float) -> Counts:
    """Counts now. `stale_after` is in seconds: an agent not heard from for longer is not online."""
    heard_since = utcnow() - timedelta(seconds=stale_after)
    online = (Agent.is_connected, Agent.is_synced, Agent.last_seen_at >= heard_since, Agent.revoked_at.is_(None))
    hosts = select(func.count(ProxyHost.id)).where(ProxyHost.deleted_at.is_(None))
    is_job = Command.kind.not_in(BACKGROUND_KINDS)
    numbers = {
        "hosts": hosts,
        "hosts_refused": hosts.where(host_queries.IS_REFUSED),
        "certificates": select(func.count(Certificate.id)),
        "agents": select(func.count(Agent.id)).where(Agent.revoked_at.is_(None)),
        "agents_online": select(func.count(Agent.id)).where(*online),
        "running_jobs": select(func.count(Command.id)).where(Command.state.in_(OPEN_STATES), is_job),
        "certificates_due": certificate_queries.select_due_count(utcnow()),
    }
    query = select(*(number.scalar_subquery().label(name) for name, number in numbers.items()))  # every page asks this
    return Counts(**db.session.execute(query).one()._asdict())
