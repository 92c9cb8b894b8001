"""Commands as people and other services ask for them, take them back, wait for them and read them.
May import: panel.services.{events,paging,transitions}, panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import select, update

from panel.errors import Conflict, Forbidden, NotFound
from panel.extensions import db, wakeups
from panel.i18n import gettext as _
from panel.i18n import mark
from panel.models import OPEN_STATES, Agent, Command, CommandKind, CommandOutput, CommandState, User
from panel.models.types import utcnow
from panel.services import events, transitions
from panel.services.paging import Page, paginate
from panel.services.transitions import REDELIVERY_WINDOW

QUESTION_TIMEOUT = 15.0  # seconds
# This one writes into somebody's DNS and waits until it is seen there.
SLOW_QUESTIONS = {CommandKind.CHECK_DNS_CREDENTIAL: 60.0}


def enqueue(
    agent: Agent,
    kind: CommandKind,
    *,
    payload: dict[str, Any] | None = None,
    actor: User | None = None,
    idempotency_key: str | None = None,
    retry_of: str | None = None,
    not_before: datetime | None = None,
    time_to_live: timedelta = REDELIVERY_WINDOW,
    run_timeout: float = 120.0,
    resource: str = "nginx",
    certificate_id: int | None = None,
) -> Command:
    """Writes a queued command and wakes the agent's stream. The same idempotency key gives the same command again.

    `run_timeout` is in seconds from its start; of commands with one `resource` one is under way at a time.
    Raises Forbidden for viewers, Conflict for a revoked agent.
    """
    _require_editor(actor)
    if agent.is_revoked:
        raise Conflict(_("The agent %(name)s was revoked. Add it again before sending it anything.", name=agent.name))
    known = _by_key(agent, kind, idempotency_key)
    if known is not None:
        return known
    now = utcnow()
    run_timeout = min(run_timeout, SLOW_QUESTIONS.get(kind, QUESTION_TIMEOUT)) if kind.is_question else run_timeout
    lifetime = timedelta(seconds=run_timeout) if kind.is_question else min(time_to_live, REDELIVERY_WINDOW)
    command = Command(
        id=str(uuid4()),
        agent_id=agent.id,
        seq=next_seq(agent),
        kind=kind,
        resource="" if kind.is_question else resource,
        payload=payload or {},
        state=CommandState.QUEUED,
        idempotency_key=idempotency_key,
        retry_of_id=retry_of,
        certificate_id=certificate_id,
        created_by_id=None if actor is None else actor.id,
        created_at=now,
        not_before=not_before,
        expires_at=now + lifetime,
        run_timeout=run_timeout,
    )
    db.session.add(command)
    db.session.flush()
    transitions.announce(command)
    return command


def get(command_id: str) -> Command:
    """The command with this id. Raises NotFound."""
    command = db.session.get(Command, command_id)
    if command is None:
        raise NotFound(_("There is no such job. The list of jobs shows those that are kept."))
    return command


def find_open(agent_id: str, kind: CommandKind, state: CommandState | None = None) -> Command | None:
    """The oldest command of this kind whose result is still to come (or that is in `state`)."""
    states = OPEN_STATES if state is None else (state,)
    return db.session.scalar(
        select(Command)
        .where(Command.agent_id == agent_id, Command.kind == kind, Command.state.in_(states))
        .order_by(Command.seq)
        .limit(1)
    )


def find_open_of(agent_ids: Iterable[str], kind: CommandKind) -> dict[str, Command]:
    """The same for several agents at once, by agent; those without such a command are left out."""
    query = select(Command).where(
        Command.agent_id.in_(list(agent_ids)), Command.kind == kind, Command.state.in_(OPEN_STATES)
    )
    return {command.agent_id: command for command in db.session.scalars(query.order_by(Command.seq.desc()))}


def cancel(command: Command, actor: User | None) -> Command:
    """Takes a queued command back at once; one under way is asked to stop and may still end otherwise.

    Raises Forbidden for viewers, Conflict when it has ended.
    """
    _require_editor(actor)
    if not command.is_open:
        raise Conflict(_("This job has ended before it could be cancelled. Its page shows the result."))
    now = utcnow()
    outcome = {"reason": "CANCELLED", "error": mark("Cancelled before it was sent."), "finished_at": now}
    if not transitions.change(command.id, (CommandState.QUEUED,), state=CommandState.CANCELLED, **outcome):
        transitions.change(command.id, transitions.IN_FLIGHT, cancel_requested_at=now)
    events.record(actor, "command", "cancel", command.id, command.kind, command_id=command.id)
    return command


def retry(command: Command, actor: User | None) -> Command:
    """A new command like this one; twice for the same command gives the same new one.

    An apply means "become what you should be now", so its old files are not repeated.
    Raises Forbidden for viewers, Conflict while it is open, or when it brought an uploaded key, which is not kept.
    """
    _require_editor(actor)
    if command.is_open:
        raise Conflict(_("This job is still under way. Wait for its end, or cancel it."))
    kind = CommandKind(command.kind)
    if kind is CommandKind.INSTALL_CERTIFICATE:
        raise Conflict(_("The key of this upload was not kept. Upload the certificate and its key again."))
    key = f"retry:{command.id}"
    is_repeated = _by_key(command.agent, kind, key) is not None
    again = enqueue(
        command.agent,
        kind,
        payload={} if kind is CommandKind.APPLY_CONFIG else dict(command.payload),
        actor=actor,
        idempotency_key=key,
        retry_of=command.id,
        run_timeout=command.run_timeout,
        resource=command.resource,
        certificate_id=command.certificate_id,
    )
    if not is_repeated:
        events.record(actor, "command", "retry", command.id, command.kind, command_id=again.id)
    return again


def reload(agent: Agent, actor: User | None) -> Command:
    """Lets nginx read its present files again. Raises Forbidden for viewers, Conflict for a revoked agent."""
    command = enqueue(agent, CommandKind.RELOAD, actor=actor)
    events.record(actor, "agent", "reload", agent.id, agent.name, command_id=command.id)
    return command


def wait(command_id: str, timeout: float) -> Command:
    """The command when it has ended, or as it is after `timeout` seconds. Call it with no transaction open."""
    deadline = time.monotonic() + timeout
    with wakeups.subscribe(f"command:{command_id}") as news:
        while True:
            news.clear()
            db.session.rollback()  # what was read before would hide what has changed since
            state = db.session.scalar(select(Command.state).where(Command.id == command_id))
            left = deadline - time.monotonic()
            if state not in OPEN_STATES or left <= 0:
                return get(command_id)
            db.session.rollback()
            news.wait(min(left, 1.0))


def outputs(command_id: str, after: int = 0, limit: int | None = None) -> list[CommandOutput]:
    """The lines with a number above `after`, in order, at most `limit`."""
    statement = (
        select(CommandOutput)
        .where(CommandOutput.command_id == command_id, CommandOutput.seq > after)
        .order_by(CommandOutput.seq)
    )
    return list(db.session.scalars(statement if limit is None else statement.limit(limit)))


def list_page(
    *,
    kind: str | None = None,
    state: str | None = None,
    agent_id: str | None = None,
    page: int = 1,
    per_page: int = 50,
) -> Page[Command]:
    """Commands, newest first; filters that are None or empty select nothing out."""
    wanted = ((Command.kind, kind), (Command.state, state), (Command.agent_id, agent_id))
    conditions = [column == value for column, value in wanted if value]
    statement = select(Command).where(*conditions).order_by(Command.created_at.desc(), Command.seq.desc())
    return paginate(statement, page, per_page)


def next_seq(agent: Agent) -> int:
    """The number of the agent's next command. The database counts, so no two get the same. Raises NotFound."""
    db.session.flush()
    following = db.session.scalar(
        update(Agent)
        .where(Agent.id == agent.id)
        .values(next_command_seq=Agent.next_command_seq + 1)
        .returning(Agent.next_command_seq)
        .execution_options(synchronize_session=False)
    )
    if following is None:
        raise NotFound(_("There is no such agent. The list of agents shows those that exist."))
    return int(following) - 1


def _by_key(agent: Agent, kind: CommandKind, key: str | None) -> Command | None:
    command = None if key is None else db.session.scalar(select(Command).where(Command.idempotency_key == key))
    if command is not None and (command.agent_id != agent.id or command.kind != kind):
        raise Conflict(_("This form was already used for another job. Reload the page and try again."))
    return command


def _require_editor(actor: User | None) -> None:
    if actor is not None and not actor.may_edit:
        raise Forbidden(_("Your role lets you look, not change. Ask an administrator for the operator role."))
