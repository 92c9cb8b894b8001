"""The count of saved changes of an agent: what is saved is told from what is live by it.
May import: panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.orm.attributes import set_committed_value

from panel.errors import NotFound
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import Agent


def raise_one(agent_id: str) -> int:
    """Counts one saved change of an agent and returns its number. The database counts, so no save is lost.

    Raises NotFound.
    """
    db.session.flush()
    generation = db.session.scalar(
        update(Agent)
        .where(Agent.id == agent_id)
        .values(generation=Agent.generation + 1)
        .returning(Agent.generation)
        .execution_options(synchronize_session=False)
    )
    agent = db.session.get(Agent, agent_id)
    if generation is None or agent is None:
        raise NotFound(_("There is no such agent. The list of agents shows those that exist."))
    set_committed_value(agent, "generation", int(generation))
    return int(generation)
