"""Certificates to ask for, and an agent that has them: what a report of it would say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from panel.config import Config
from panel.extensions import db, transaction
from panel.models import AcmeAuthority, Agent, Certificate, CertificateSource, Command, CommandState, ProxyHost
from panel.models.types import utcnow
from panel.services import audit, authorities, builtin_authorities, certificate_reports, certificates, outcomes
from panel.services.certificate_states import CertificateState
from panel.services.certificates import CertificateSpec
from panel.services.transitions import CommandOutcome

FOLDER = "/var/lib/waypost/letsencrypt"


def set_up(config: Config) -> AcmeAuthority:
    """The authorities that come with Waypost; returns the default."""
    with transaction():
        builtin_authorities.ensure(config)
    found = authorities.default()
    assert found is not None
    return found


def spec(agent: Agent, *names: str, **values: Any) -> CertificateSpec:
    return CertificateSpec(agent.id, names or ("app.example.com",), **values)


def order(agent: Agent, *names: str, host: ProxyHost | None = None, **values: Any) -> Command:
    """An order; `values` are those of the spec."""
    with transaction():
        return certificates.request(spec(agent, *names, **values), None, host=host)


def certificate_of(command: Command) -> Certificate:
    assert command.certificate_id is not None
    return certificates.get(command.certificate_id)


def state(
    name: str = "app.example.com", *, names: Sequence[str] = (), days: float = 90, left: float = 80, **values: Any
) -> CertificateState:
    """A certificate of `days` days with `left` of them left, whose files are there."""
    end = utcnow() + timedelta(days=left)
    facts = {
        "source": CertificateSource.ACME,
        "names": tuple(names) or (name,),
        "not_before": end - timedelta(days=days),
        "not_after": end,
        "serial": "0a1b",
        "issuer": "Test CA",
        "chain_path": f"{FOLDER}/live/{name}/fullchain.pem",
        "key_path": f"{FOLDER}/live/{name}/privkey.pem",
        "is_present": True,
    }
    return CertificateState(name, **{**facts, **values})


def report(agent: Agent, *states: CertificateState, now: datetime | None = None) -> None:
    with transaction():
        certificate_reports.observe(agent, states, FOLDER, "", now or utcnow())


def end(command: Command, *, error: str = "", **result: Any) -> None:
    """The agent's word on how it ended."""
    outcome = CommandState.FAILED if error else CommandState.SUCCEEDED
    with transaction():
        outcomes.record(command, CommandOutcome(outcome, "FAILED" if error else "", error, result=result), utcnow())


def issue(agent: Agent, *names: str) -> Certificate:
    """A certificate that was ordered and came."""
    command = order(agent, *names)
    certificate = certificate_of(command)
    report(agent, state(certificate.name, names=certificate.domain_names))
    end(command)
    return certificate


def reload(host: ProxyHost) -> ProxyHost:
    db.session.expire_all()
    return host


def found(agent: Agent, source: CertificateSource = CertificateSource.CERTBOT, **values: Any) -> Certificate:
    """A certificate that nobody ordered: it lay there."""
    report(agent, state(source=source, **values))
    return certificates.list_page().items[0]


def link(host: ProxyHost, certificate: Certificate) -> Command | None:
    with transaction():
        return certificates.link(host, certificate, None)


def last_change(noun: str, object_id: int) -> tuple[str, list[str]]:
    """What was done last, and the fields that it changed."""
    (entry,) = audit.of_object(noun, object_id, limit=1)
    before, after = entry.event.before or {}, entry.event.after or {}
    return entry.event.verb, [name for name, value in after.items() if before.get(name) != value]
