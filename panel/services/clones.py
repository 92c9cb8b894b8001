"""One identity on two machines: noticed by processes that take the stream from each other, and ended by a new join.
May import: panel.services.{enrollments,events,transitions}, panel.models, panel.extensions."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from panel.extensions import db, wake_after_commit
from panel.i18n import mark
from panel.models import Agent, Command, CommandState
from panel.services import enrollments, events, transitions
from panel.services.transitions import IN_FLIGHT, CommandOutcome

# A process that was followed by another one has ended, so it comes back once at most: a Hello that a slow network
# delivers late. Whoever comes for the third time is alive beside the other.
TOO_OFTEN = 3
REMEMBERED = 12  # changes from one process to another

SENTENCE = mark(
    "Two machines use this agent's identity, as a copied disk or folder makes them. Neither is let in. "
    "Make a new join command and run it on the one that shall be this agent."
)
_LOST = mark("Two machines used this agent's identity while this was under way. What it did is not known.")


def note_boot(agent: Agent, boot_id: str) -> bool:
    """Remembers which process holds the stream; True when this one is alive beside another of the same identity."""
    if agent.boots[-1:] != [boot_id]:
        agent.boots = [*agent.boots, boot_id][-REMEMBERED:]
        db.session.flush()
    return agent.boots.count(boot_id) >= TOO_OFTEN


def hold_off(agent: Agent, now: datetime) -> list[Command]:
    """Lets neither machine in until somebody joins anew. Returns the commands whose outcome nobody can know now."""
    enrollments.revoke(agent, now)
    agent.is_connected = agent.is_synced = False
    agent.refused_because = SENTENCE
    lost = CommandOutcome(CommandState.FAILED, "LOST", _LOST, outcome_known=False)
    under_way = select(Command).where(Command.agent_id == agent.id, Command.state.in_(IN_FLIGHT))
    ended = [row for row in db.session.scalars(under_way).all() if transitions.finish(row, lost, now)]
    events.record(None, "agent", "hold-off", agent.id, agent.name)
    for topic in ("agents", f"agent:{agent.id}"):
        wake_after_commit(topic)
    return ended
