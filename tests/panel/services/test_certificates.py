"""What people do with certificates that are there: pause, change, revoke, take over, delete, find."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db, transaction
from panel.models import Agent, Certificate, CertificateSource, Command, CommandKind, CommandState, ProxyHost, User
from panel.models.types import utcnow
from panel.services import agent_specs, audit, certificate_jobs, certificates, commands, proxy_hosts, recovery
from tests.panel.services import deploying
from tests.panel.services.certifying import (
    certificate_of,
    end,
    found,
    issue,
    last_change,
    link,
    order,
    report,
    spec,
    state,
)

pytestmark = pytest.mark.usefixtures("context", "builtin_authorities")


def verbs(certificate: Certificate) -> list[str]:
    return [entry.event.verb.partition(":")[2] for entry in audit.of_object("certificate", certificate.id, limit=10)]


def test_pausing_tells_the_agent_once(agent: Agent) -> None:
    certificate = issue(agent)
    with transaction():
        certificates.pause(certificate, None)
    told = certificate_jobs.find_open(certificate, CommandKind.CONFIGURE_CERTIFICATE)
    assert told is not None
    assert agent_specs.spec_for(told).is_paused
    with transaction():
        certificates.resume(certificate, None)
    assert certificate_jobs.find_open(certificate, CommandKind.CONFIGURE_CERTIFICATE) is told
    assert not agent_specs.spec_for(told).is_paused
    assert verbs(certificate)[:2] == ["resume", "pause"]


def test_a_change_that_is_on_its_way_is_followed_by_the_next_one(agent: Agent) -> None:
    certificate = issue(agent)
    with transaction():
        certificates.pause(certificate, None)
        first = certificate_jobs.find_open(certificate)
        assert first is not None
        first.state = CommandState.SENT
    with transaction():
        certificates.resume(certificate, None)
    last = certificate_jobs.history_of(certificate.id, limit=1)[0]
    assert last.id != first.id


def test_an_agent_that_was_away_is_told_when_it_comes_back(agent: Agent) -> None:
    certificate = issue(agent)
    with transaction():
        certificates.pause(certificate, None)
    with transaction():
        ended = recovery.expire_due(utcnow() + timedelta(days=2))
    assert [command.state for command in ended] == [CommandState.EXPIRED]
    for _ in range(2):
        with transaction():
            certificate_jobs.repeat_expired(agent)
    waiting = db.session.scalars(select(Command).where(Command.state == CommandState.QUEUED)).all()
    assert [command.kind for command in waiting] == [CommandKind.CONFIGURE_CERTIFICATE]


def test_how_it_is_renewed_can_be_changed_but_not_for_what(agent: Agent) -> None:
    certificate = issue(agent)
    wish = replace(spec(agent, "evil.example.com"), key_type="rsa-3072")
    with transaction():
        command = certificates.update(certificate, wish, None)
    assert command is not None
    assert command.kind == CommandKind.CONFIGURE_CERTIFICATE
    assert (certificate.key_type, certificate.domain_names) == ("rsa-3072", ["app.example.com"])
    with transaction():
        assert certificates.update(certificate, wish, None) is None
    assert last_change("certificate", certificate.id) == ("certificate:update", ["key_type"])


def test_revoking_needs_a_reason_that_authorities_take(agent: Agent) -> None:
    certificate = issue(agent)
    for reason in (2, 6, -1, 99):
        with pytest.raises(Invalid):
            certificates.revoke(certificate, None, reason=reason)
    with transaction():
        command = certificates.revoke(certificate, None, reason=1)
        assert certificates.revoke(certificate, None, reason=1) is command
    assert command.payload["reason"] == 1
    end(command)
    report(agent, state(revoked_at=utcnow()))
    assert "revoked" in verbs(certificate)
    with pytest.raises(Conflict, match="revoked already"):
        certificates.revoke(certificate, None)


def test_taking_over_keeps_the_names_and_goes_to_certbots_folder(agent: Agent) -> None:
    certificate = found(agent, names=["app.example.com", "www.example.com"])
    with transaction():
        command = certificates.take_over(certificate, spec(agent, "evil.example.com"), None)
    rendered = agent_specs.spec_for(command)
    assert (rendered.name, rendered.names) == ("app.example.com", ("app.example.com", "www.example.com"))
    assert certificate.source == CertificateSource.CERTBOT
    report(agent, state(names=["app.example.com", "www.example.com"]))
    assert certificate.is_renewable
    with pytest.raises(Conflict, match="nothing to take over"):
        certificates.take_over(certificate, spec(agent), None)


# ---- deleting ----


def test_one_in_use_is_not_deleted_and_the_hosts_are_named(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate = issue(agent)
    link(save(), certificate)
    with pytest.raises(Conflict, match=r"used by app\.example\.com"), transaction():
        certificates.delete(certificate, None)


def test_unlinking_first_applies_before_the_files_go(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate, host = issue(agent), save()
    link(host, certificate)
    deploying.apply(agent)
    with transaction():
        command = certificates.delete(certificate, None, unlink=True)
    assert command is not None
    apply = deploying.queued(agent)
    assert host.certificate_id is None
    assert apply.resource == command.resource == "nginx"
    assert apply.seq < command.seq


def test_the_row_goes_when_the_files_are_gone_and_its_jobs_stay(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate, host = issue(agent), save()
    link(host, certificate)
    with transaction():
        proxy_hosts.delete(host, None)
        command = certificates.delete(certificate, None)
    assert command is not None
    assert command.resource == "acme:app.example.com"
    certificate_id = certificate.id
    end(command)
    with pytest.raises(NotFound):
        certificates.get(certificate_id)
    assert {job.kind for job in certificates.history_of(certificate_id)} == {"issue_certificate", "delete_certificate"}
    with transaction():
        proxy_hosts.restore(host, None)
    assert host.certificate_id is None


def test_a_deletion_that_failed_leaves_the_row(agent: Agent) -> None:
    certificate = issue(agent)
    with transaction():
        command = certificates.delete(certificate, None)
    assert command is not None
    end(command, error="nginx still uses it.")
    assert certificates.get(certificate.id) is certificate


def test_one_that_is_on_its_way_is_not_deleted(agent: Agent) -> None:
    certificate = certificate_of(order(agent))
    with pytest.raises(Conflict, match="on its way"):
        certificates.delete(certificate, None)


def test_with_a_revoked_agent_the_row_goes_at_once(agent: Agent) -> None:
    certificate = issue(agent)
    with transaction():
        agent.revoked_at = utcnow()
        assert certificates.delete(certificate, None) is None
    assert not db.session.scalar(select(Certificate.id))


# ---- finding ----


def test_the_list_filters_sorts_and_searches(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    report(
        agent,
        state("a.example.com", left=80),
        state("b.example.com", left=20, failures=2, last_failure={"sentence": "No."}),
        state("c.example.com", source=CertificateSource.CERTBOT, left=60, names=["xn--bcher-kva.example"]),
        state("d.example.com", is_present=False, not_before=None, not_after=None),
    )
    [host] = [save("a.example.com")]
    link(host, certificates.list_page(query="a.example.com").items[0])

    def names(**options: Any) -> list[str]:
        return [one.name[0] for one in certificates.list_page(**options).items]

    assert names() == ["b", "c", "a", "d"]
    assert names(sort="name", descending=True) == ["d", "c", "b", "a"]
    assert names(status="due") == names(status="failing") == ["b"]
    assert names(status="unused") == ["b", "c", "d"]
    assert names(status="found") == ["c"]
    assert names(status="absent") == ["d"]
    assert names(query="BCHER") == ["c"]
    assert names(query="%") == []
    assert names(agent_id="nobody") == []
    assert names(page=99, per_page=3) == ["d"]
    assert names(status="x", sort="x") == ["b", "c", "a", "d"]
    assert certificates.users_of([one.id for one in certificates.list_page().items]) == {
        host.certificate_id: [(host.id, "a.example.com")]
    }


def test_an_id_out_of_range_is_simply_not_there() -> None:
    for certificate_id in (0, -1, 1 << 40):
        with pytest.raises(NotFound):
            certificates.get(certificate_id)


def test_viewers_change_nothing(agent: Agent, charlie: User, save: Callable[..., ProxyHost]) -> None:
    who, certificate, host = db.session.merge(charlie), issue(agent), save()
    attempts: list[Callable[[], Any]] = [
        lambda: certificates.pause(certificate, who),
        lambda: certificates.resume(certificate, who),
        lambda: certificates.update(certificate, spec(agent), who),
        lambda: certificates.revoke(certificate, who),
        lambda: certificates.take_over(certificate, spec(agent), who),
        lambda: certificates.delete(certificate, who),
        lambda: certificates.link(host, certificate, who),
        lambda: certificates.unlink(host, who),
        lambda: certificates.upload(agent.id, "", "", "", "", actor=who),
    ]
    for attempt in attempts:
        with pytest.raises(Forbidden), transaction():
            attempt()
    assert not db.session.scalars(select(Command).where(Command.state == CommandState.QUEUED)).all()


def test_a_plain_retry_keeps_what_the_job_was_about(agent: Agent) -> None:
    certificate = issue(agent)
    with transaction():
        first = certificates.revoke(certificate, None)
    end(first, error="No.")
    with transaction():
        again = commands.retry(first, None)
    assert (again.resource, again.certificate_id, again.payload) == (first.resource, certificate.id, first.payload)
