"""What agents say of the certificates on their disks: stored, told as history, and followed by what nginx must do.
May import: panel.services.{certificate_*,events,lineage_names,notifications}, panel.models, panel.extensions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from panel.extensions import db, wake_after_commit
from panel.models import AcmeAuthority, Agent, Certificate, CertificateSource, KeyType
from panel.services import (
    certificate_links,
    certificate_queries,
    certificate_states,
    events,
    lineage_names,
    notifications,
)
from panel.services.certificate_states import CertificateState, Snapshot

log = logging.getLogger(__name__)

MAX_CERTIFICATES = 2000  # of one agent; a report has at most 1000


def observe(
    agent: Agent, states: Sequence[CertificateState], letsencrypt_dir: str, problem: str, now: datetime
) -> None:
    """Stores all that an agent has. What is not among it is gone; what nobody knew was found there.

    Hosts whose certificate came, went or moved are applied; one that was merely renewed needs no apply.
    """
    agent.letsencrypt_dir, agent.certificates_problem = letsencrypt_dir, problem
    rows = {row.name: row for row in db.session.scalars(select(Certificate).where(Certificate.agent_id == agent.id))}
    moved = []
    for state in {state.name: state for state in states if lineage_names.is_valid(state.name)}.values():
        row = rows.get(state.name) or _find_new(agent, state, len(rows))
        if row is not None:
            rows[state.name] = row
            moved += [row] if _store(row, state, letsencrypt_dir, now) else []
    reported = {state.name for state in states}
    for row in rows.values():
        if row.name not in reported and _note_gone(row, now):
            moved.append(row)
    _serve_anew(agent, moved)


def _store(certificate: Certificate, state: CertificateState, letsencrypt_dir: str, now: datetime) -> bool:
    """Writes one state; True when the files that hosts use are others now."""
    before, told = Snapshot.of(certificate), notifications.before(certificate)
    certificate_states.write(certificate, state, letsencrypt_dir, now)
    db.session.flush()
    after = Snapshot.of(certificate)
    if before != after:
        _record_changes(certificate, before, after)
    notifications.certificate_changed(certificate, told, now)
    return before.has_other_files(after)


def _note_gone(certificate: Certificate, now: datetime) -> bool:
    """True when hosts were served with it."""
    if not certificate.is_present:
        return False
    before, told = Snapshot.of(certificate), notifications.before(certificate)
    certificate_states.write_gone(certificate, now)
    db.session.flush()
    after = Snapshot.of(certificate)
    _record_changes(certificate, before, after)
    notifications.certificate_changed(certificate, told, now)
    return before.has_other_files(after)


def _serve_anew(agent: Agent, certificates: Sequence[Certificate]) -> None:
    hosts = [host for certificate in certificates for host in certificate_queries.hosts_using(certificate)]
    certificate_links.serve_anew(hosts, agent)
    for topic in ("certificates", "hosts"):
        wake_after_commit(topic)


def _find_new(agent: Agent, state: CertificateState, known: int) -> Certificate | None:
    """A row for what was found on the agent: certbot's, or ours from before this database."""
    if known >= MAX_CERTIFICATES:
        log.warning("agent %s has more than %d certificates; %s is left out", agent.name, known, state.name)
        return None
    authority = _authority_of(state.directory_url)
    certificate = Certificate(
        agent_id=agent.id,
        name=state.name,
        domain_names=list(state.names),
        source=state.source,
        serial=state.serial,
        is_present=state.is_present,
        authority_id=None if authority is None else authority.id,
        key_type=state.key_type if state.key_type in set(KeyType) else KeyType.EC_256,
        is_paused=state.is_paused and state.source == CertificateSource.ACME,
    )
    db.session.add(certificate)
    db.session.flush()
    after = {"source": state.source, "names": list(state.names)}
    events.record(None, "certificate", "found", certificate.id, certificate.name, after=after)
    return certificate


def _authority_of(directory_url: str) -> AcmeAuthority | None:
    if not directory_url:
        return None
    return db.session.scalar(select(AcmeAuthority).where(AcmeAuthority.directory_url == directory_url).limit(1))


def _record_changes(certificate: Certificate, before: Snapshot, after: Snapshot) -> None:
    """The history of a certificate is made here, of what its agent saw, and not of what somebody wished."""
    if before.is_present and not after.is_present:
        _record(certificate, "vanished", {"problem": certificate.problem})
    elif after.is_present and (after.serial != before.serial or not before.is_present):
        is_first = not before.serial
        _record(certificate, "issued" if is_first else "renewed", _facts(certificate))
    if after.failed_at and after.failed_at != before.failed_at:
        failure = certificate.last_failure or {}
        _record(certificate, "failed", {"cause": failure.get("cause", ""), "sentence": failure.get("sentence", "")})
    if after.revoked_at is not None and before.revoked_at is None:
        _record(certificate, "revoked", {"serial": after.serial})


def _facts(certificate: Certificate) -> dict[str, str]:
    end = certificate.not_after
    return {"serial": certificate.serial, "issuer": certificate.issuer, "not_after": end.isoformat() if end else ""}


def _record(certificate: Certificate, verb: str, after: dict[str, str]) -> None:
    events.record(None, "certificate", verb, certificate.id, certificate.name, after=after)
