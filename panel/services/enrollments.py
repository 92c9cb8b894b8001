"""How an agent gets its identity: one-time join tokens, first certificates, renewals, and what a revocation ends.
May import: panel.services.{events,secret_hashes}, panel.pki, panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from panel.errors import Forbidden, Invalid
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, AgentCertificate, OneTimeToken, TokenPurpose
from panel.models.types import utcnow
from panel.pki import Authority, BadRequest, csr_public_key, key_sha256
from panel.services import events
from panel.services.secret_hashes import hash_secret

TOKEN_LIFETIME = timedelta(hours=1)


@dataclass(frozen=True)
class Enrollment:
    """What an agent takes away from joining."""

    agent_id: str
    agent_name: str
    certificate_pem: bytes


def issue_token(agent: Agent, ca_fingerprint: str) -> str:
    """A new join token as text, valid for an hour; earlier ones of this agent end. Only its hash is kept."""
    _drop_tokens(agent)
    secret = secrets.token_urlsafe(32)
    now = utcnow()
    db.session.add(
        OneTimeToken(
            purpose=TokenPurpose.JOIN,
            secret_sha256=hash_secret(secret),
            agent_id=agent.id,
            created_at=now,
            expires_at=now + TOKEN_LIFETIME,
        )
    )
    db.session.flush()
    return f"wp1.{secret}.{ca_fingerprint}"


def open_token_expiry(agent: Agent, now: datetime) -> datetime | None:
    """Until when the agent's join token may be used; None when there is no usable one."""
    return db.session.scalar(
        select(OneTimeToken.expires_at).where(
            OneTimeToken.purpose == TokenPurpose.JOIN,
            OneTimeToken.agent_id == agent.id,
            OneTimeToken.used_at.is_(None),
            OneTimeToken.expires_at > now,
        )
    )


def enroll(secret: str, csr_pem: bytes, hostname: str, authority: Authority, now: datetime) -> Enrollment:
    """Exchanges a join token's secret for a certificate; the same key may repeat it while the token lasts.

    Raises Forbidden for an unknown, expired or used token, Invalid for a bad request.
    """
    token = _find_token(secret)
    key = _request_key(csr_pem)
    if not _redeem(token, key, now):
        raise Forbidden(_("This join token was used by another machine. Make a new one on the agent's page."))
    agent = db.session.get_one(Agent, token.agent_id)
    if token.used_at == now:
        _end_certificates(agent, now)  # a new join moves the identity; an old copy of it must not live on
        agent.joined_at, agent.revoked_at, agent.hostname = now, None, hostname
        agent.session_epoch += 1
        agent.is_connected = agent.is_synced = False
        agent.boots, agent.refused_because = [], ""
        after = {"hostname": hostname}
        events.record(None, "agent", "join", agent.id, agent.name, after=after, origin=f"agent {agent.name}")
    certificate_pem = _issue(agent, csr_pem, authority, now)
    wake_after_commit("agents")
    wake_after_commit(f"agent:{agent.id}")
    return Enrollment(agent.id, agent.name, certificate_pem)


def renew(agent_id: str, csr_pem: bytes, authority: Authority, now: datetime) -> bytes:
    """A new certificate for an agent that has shown a valid one. Raises Invalid for a bad request."""
    _request_key(csr_pem)
    return _issue(db.session.get_one(Agent, agent_id), csr_pem, authority, now)


def is_admitted(agent_id: str, serial: str, now: datetime) -> bool:
    """Whether this certificate opens a stream: known, of this agent, neither revoked nor over."""
    is_good = select(AgentCertificate.serial).where(
        AgentCertificate.serial == serial,
        AgentCertificate.agent_id == agent_id,
        AgentCertificate.revoked_at.is_(None),
        AgentCertificate.not_after > now,
        Agent.id == AgentCertificate.agent_id,
        Agent.revoked_at.is_(None),
    )
    return db.session.scalar(is_good) is not None


def is_over(serial: str, now: datetime) -> bool:
    """Whether time alone has ended this certificate: nobody revoked it, so that its agent may come with a newer one."""
    ended = (AgentCertificate.serial == serial, AgentCertificate.not_after <= now)
    unrevoked = (
        AgentCertificate.revoked_at.is_(None),
        Agent.id == AgentCertificate.agent_id,
        Agent.revoked_at.is_(None),
    )
    return db.session.scalar(select(AgentCertificate.serial).where(*ended, *unrevoked)) is not None


def refusal(agent_id: str) -> str:
    """The sentence for an agent that is not admitted."""
    agent = db.session.get(Agent, agent_id)
    known = "" if agent is None else agent.refused_because
    return known or "This agent was revoked, or another one joined in its place."


def revoke(agent: Agent, now: datetime) -> None:
    """Ends every certificate and token of the agent."""
    _end_certificates(agent, now)
    _drop_tokens(agent)


def _drop_tokens(agent: Agent) -> None:
    """Used ones too: they would still let the key that used them come back."""
    db.session.execute(
        delete(OneTimeToken).where(OneTimeToken.agent_id == agent.id),
        execution_options={"synchronize_session": False},
    )


def _find_token(secret: str) -> OneTimeToken:
    token = db.session.scalar(
        select(OneTimeToken).where(
            OneTimeToken.secret_sha256 == hash_secret(secret), OneTimeToken.purpose == TokenPurpose.JOIN
        )
    )
    if token is None:
        raise Forbidden(
            _("This join token is not known, or a newer one has replaced it. Make a new one on the agent's page.")
        )
    return token


def _redeem(token: OneTimeToken, key: str, now: datetime) -> bool:
    """Uses the token up for this key; whoever else comes later, or at the same moment, finds it used."""
    if token.expires_at is None or token.expires_at <= now:
        raise Forbidden(_("This join token has expired. Make a new one on the agent's page."))
    db.session.execute(
        update(OneTimeToken)
        .where(OneTimeToken.id == token.id, OneTimeToken.used_at.is_(None))
        .values(used_at=now, used_by_key=key),
        execution_options={"synchronize_session": False},
    )
    db.session.refresh(token)
    return token.used_by_key == key


def _issue(agent: Agent, csr_pem: bytes, authority: Authority, now: datetime) -> bytes:
    issued = authority.sign_csr(csr_pem, agent.id, now)
    db.session.add(
        AgentCertificate(
            serial=issued.serial,
            agent_id=agent.id,
            public_key_sha256=issued.public_key_sha256,
            not_after=issued.not_after,
            issued_at=now,
        )
    )
    db.session.flush()
    return issued.pem


def _end_certificates(agent: Agent, now: datetime) -> None:
    db.session.execute(
        update(AgentCertificate)
        .where(AgentCertificate.agent_id == agent.id, AgentCertificate.revoked_at.is_(None))
        .values(revoked_at=now),
        execution_options={"synchronize_session": False},
    )


def _request_key(csr_pem: bytes) -> str:
    try:
        return key_sha256(csr_public_key(csr_pem))
    except BadRequest as error:
        raise Invalid("csr", str(error)) from error
