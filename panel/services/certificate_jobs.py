"""Commands about certificates: how long they may take, which are open, and what is told the agent when a spec changes.
May import: panel.services.commands, panel.models, panel.extensions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import aliased, defer

from panel.extensions import db
from panel.models import (
    OPEN_STATES,
    Agent,
    Certificate,
    Challenge,
    Command,
    CommandKind,
    CommandState,
    User,
)
from panel.services import commands

MANUAL = "manual"  # the DNS provider that is a person

# Seconds from its start. An order waits for the authority, for name servers, or for somebody at a keyboard.
HTTP_TIMEOUT = 600.0
DNS_TIMEOUT = 1800.0
MANUAL_TIMEOUT = 7200.0
SHORT_TIMEOUT = 180.0  # of what asks nobody, or one question

ORDERS = (CommandKind.ISSUE_CERTIFICATE, CommandKind.RENEW_CERTIFICATE)
BRING_FILES = (*ORDERS, CommandKind.INSTALL_CERTIFICATE)
_BRING_SPEC = (CommandKind.CONFIGURE_CERTIFICATE, CommandKind.ISSUE_CERTIFICATE, CommandKind.TAKE_OVER_CERTIFICATE)


def resource_of(name: str) -> str:
    """What commands about the certificate of this name work on, one at a time."""
    return f"acme:{name}"


def timeout_of(certificate: Certificate, kind: CommandKind) -> float:
    """How many seconds such a command may run."""
    if kind not in ORDERS:
        return SHORT_TIMEOUT
    if certificate.challenge != Challenge.DNS_01:
        return HTTP_TIMEOUT
    credential = certificate.dns_credential
    return MANUAL_TIMEOUT if credential is not None and credential.provider == MANUAL else DNS_TIMEOUT


def ask(
    certificate: Certificate,
    kind: CommandKind,
    actor: User | None,
    *,
    values: dict[str, Any] | None = None,
    retry_of: str | None = None,
    resource: str | None = None,
) -> Command:
    """Asks the certificate's agent. The payload names the certificate; its spec and its secrets join when it is sent.

    Raises Forbidden, Conflict for a revoked agent.
    """
    return commands.enqueue(
        certificate.agent,
        kind,
        payload={"certificate_id": certificate.id, "name": certificate.name, **(values or {})},
        actor=actor,
        retry_of=retry_of,
        run_timeout=timeout_of(certificate, kind),
        resource=resource or resource_of(certificate.name),
        certificate_id=certificate.id,
    )


def find_open(certificate: Certificate, *kinds: CommandKind) -> Command | None:
    """The oldest command about it whose result is still to come, of one of these kinds if any are named."""
    query = select(Command).where(Command.certificate_id == certificate.id, Command.state.in_(OPEN_STATES))
    if kinds:
        query = query.where(Command.kind.in_(kinds))
    return db.session.scalar(query.order_by(Command.seq).limit(1))


def find_order(certificate: Certificate, *, dry_run: bool = False) -> Command | None:
    """The oldest order under way that brings what is wished: a rehearsal brings nothing to who wants a certificate."""
    query = select(Command).where(
        Command.certificate_id == certificate.id, Command.state.in_(OPEN_STATES), Command.kind.in_(ORDERS)
    )
    found = db.session.scalars(query.order_by(Command.seq))
    return next((one for one in found if dry_run or not one.payload.get("dry_run")), None)


def history_of(certificate_id: int, limit: int = 20) -> list[Command]:
    """The newest commands about a certificate, newest first; they stay when it is deleted."""
    query = select(Command).where(Command.certificate_id == certificate_id).options(defer(Command.payload))
    return list(db.session.scalars(query.order_by(Command.seq.desc()).limit(limit)))


def configure(certificate: Certificate, actor: User | None) -> Command | None:
    """Tells the agent by which spec it is renewed from now on; one that waits already takes the change along.

    None when there is nothing to tell: the agent does not renew it, or learns of it with the first order.
    """
    if not certificate.is_renewable or certificate.reported_at is None or certificate.agent.is_revoked:
        return None
    if certificate.authority is None or not certificate.authority.directory_url:
        return None
    waiting = find_open(certificate, *_BRING_SPEC)
    if waiting is not None and waiting.state == CommandState.QUEUED:
        return waiting
    return ask(certificate, CommandKind.CONFIGURE_CERTIFICATE, actor)


def configure_all(certificates: Iterable[Certificate], actor: User | None) -> None:
    """Tells the agents of all these certificates."""
    for certificate in certificates:
        configure(certificate, actor)


def repeat_expired(agent: Agent) -> None:
    """Tells an agent that was away for long what it missed: specs are a state to reach and not an event to hear of."""
    later = aliased(Command)
    is_last = ~(
        select(later.id)
        .where(later.certificate_id == Command.certificate_id, later.seq > Command.seq, later.kind.in_(_BRING_SPEC))
        .exists()
    )
    missed = select(Command.certificate_id).where(
        Command.agent_id == agent.id,
        Command.state == CommandState.EXPIRED,
        Command.kind == CommandKind.CONFIGURE_CERTIFICATE,
        is_last,
    )
    configure_all(db.session.scalars(select(Certificate).where(Certificate.id.in_(missed))).all(), None)
