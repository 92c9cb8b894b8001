"""What agents report of certificates: rows, history, and an apply exactly when nginx needs one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from panel.extensions import db, transaction
from panel.models import Agent, Certificate, CertificateSource, Command, CommandKind, ProxyHost
from panel.models.types import utcnow
from panel.services import (
    agent_jobs,
    audit,
    authorities,
    certificate_reports,
    certificates,
    commands,
    deployments,
    measures,
    recovery,
)
from panel.services.agent_jobs import StartedCommand
from panel.services.recovery import JournalState, OpenCommand
from tests.panel.services import deploying
from tests.panel.services.certifying import FOLDER, certificate_of, end, issue, order, report, state

pytestmark = pytest.mark.usefixtures("context", "builtin_authorities")

BORN = "9b1c2d3e-0000-4000-8000-00000000000a"


@pytest.fixture
def host(agent: Agent, save: Callable[..., ProxyHost]) -> ProxyHost:
    """A host that is live, and waits for a certificate that was ordered."""
    host = save()
    with transaction():
        certificates.request_for_host(host, None)
    deploying.apply(agent)
    return host


def rows(agent: Agent) -> dict[str, Certificate]:
    found = db.session.scalars(select(Certificate).where(Certificate.agent_id == agent.id))
    return {row.name: row for row in found}


def verbs(certificate: Certificate) -> list[str]:
    entries = audit.of_object("certificate", certificate.id, limit=50)
    return [entry.event.verb.partition(":")[2] for entry in entries][::-1]


def has_apply(agent: Agent) -> bool:
    return commands.find_open(agent.id, CommandKind.APPLY_CONFIG) is not None


def test_a_certificate_that_came_is_served_without_another_click(agent: Agent, host: ProxyHost) -> None:
    assert not has_apply(agent)
    report(agent, state())
    assert host.has_tls
    assert host.has_unapplied_changes
    deploying.prove(deploying.send(deploying.queued(agent)))
    file = deployments.content(host.live_sha256) or ""
    assert f"ssl_certificate {FOLDER}/live/app.example.com/fullchain.pem;" in file
    assert not host.has_unapplied_changes


def test_a_renewed_one_at_the_same_place_needs_no_apply(agent: Agent, host: ProxyHost) -> None:
    report(agent, state())
    deploying.prove(deploying.send(deploying.queued(agent)))
    report(agent, state(serial="0b2c", left=90))
    assert not has_apply(agent)
    assert not host.has_unapplied_changes
    assert host.certificate is not None
    assert verbs(host.certificate) == ["request", "issued", "renewed"]
    assert host.certificate.serial == "0b2c"


def test_one_that_vanished_leaves_plain_http_and_the_row(agent: Agent, host: ProxyHost) -> None:
    report(agent, state())
    deploying.prove(deploying.send(deploying.queued(agent)))
    report(agent)
    assert not host.has_tls
    deploying.prove(deploying.send(deploying.queued(agent)))
    assert "ssl_certificate" not in (deployments.content(host.live_sha256) or "")
    assert host.certificate is not None
    assert verbs(host.certificate)[-1] == "vanished"
    assert host.certificate.serial == "0a1b"


def test_one_that_cannot_be_loaded_counts_as_not_there(agent: Agent, host: ProxyHost) -> None:
    report(agent, state())
    deploying.prove(deploying.send(deploying.queued(agent)))
    report(agent, state(is_present=False, problem="The key does not belong to it."))
    assert not host.has_tls
    assert has_apply(agent)
    assert host.certificate is not None
    assert host.certificate.problem == "The key does not belong to it."


def test_one_that_moved_is_applied(agent: Agent, host: ProxyHost) -> None:
    report(agent, state())
    deploying.prove(deploying.send(deploying.queued(agent)))
    moved: dict[str, Any] = {"chain_path": f"{FOLDER}/live/x/fullchain.pem", "key_path": f"{FOLDER}/live/x/privkey.pem"}
    report(agent, state(**moved))
    assert has_apply(agent)


def test_a_host_that_is_off_or_deleted_needs_no_apply(agent: Agent, host: ProxyHost) -> None:
    deploying.update(host, is_enabled=False)
    deploying.apply(agent)
    report(agent, state())
    assert not has_apply(agent)


def test_the_same_report_again_changes_nothing(agent: Agent, host: ProxyHost) -> None:
    same = state(left=80)
    report(agent, same)
    deploying.prove(deploying.send(deploying.queued(agent)))
    generation, told = agent.generation, len(verbs(rows(agent)["app.example.com"]))
    report(agent, same)
    assert (agent.generation, len(verbs(rows(agent)["app.example.com"]))) == (generation, told)
    assert not has_apply(agent)


@pytest.mark.parametrize(
    "path",
    ["/etc/shadow", "live/x/fullchain.pem", f"{FOLDER}/../../etc/passwd", f"{FOLDER}/a;b", f"{FOLDER}/$x", "", FOLDER],
)
def test_a_path_outside_its_folder_is_never_given_to_nginx(agent: Agent, host: ProxyHost, path: str) -> None:
    report(agent, state(chain_path=path))
    assert not host.has_tls
    assert not has_apply(agent)
    assert host.certificate is not None
    assert "outside" in host.certificate.problem


def test_what_is_found_gets_a_row_and_its_authority(agent: Agent) -> None:
    default = authorities.default()
    assert default is not None
    report(
        agent,
        state("old.example.com", source=CertificateSource.CERTBOT, directory_url=default.directory_url),
        state("mine.example.com", is_paused=True, key_type="rsa-4096"),
    )
    found = rows(agent)
    assert found["old.example.com"].source == CertificateSource.CERTBOT
    assert found["old.example.com"].authority is default
    assert (found["mine.example.com"].is_paused, found["mine.example.com"].key_type) == (True, "rsa-4096")
    assert verbs(found["old.example.com"]) == ["found"]


def test_what_people_decided_is_not_overwritten(agent: Agent) -> None:
    certificate = issue(agent)
    with transaction():
        certificates.pause(certificate, None)
    report(agent, state(is_paused=False, key_type="rsa-2048"))
    assert (certificate.is_paused, certificate.key_type, certificate.reported_key_type) == (True, "ec-256", "rsa-2048")


@pytest.mark.parametrize("name", ["../../etc", "", ".", "a/b", "-x", "a..b", "x" * 201, "a b", "a\n"])
def test_a_folder_with_an_impossible_name_gets_no_row(agent: Agent, name: str) -> None:
    report(agent, state(name))
    assert rows(agent) == {}


def test_one_agent_says_nothing_of_anothers(agent: Agent, host: ProxyHost) -> None:
    report(agent, state())
    other = Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", joined_at=utcnow())
    db.session.add(other)
    db.session.commit()
    report(other, state(serial="ffff"))
    report(other)
    assert host.has_tls
    assert rows(agent)["app.example.com"].serial == "0a1b"
    assert not rows(other)["app.example.com"].is_present


def test_rows_do_not_grow_without_end(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificate_reports, "MAX_CERTIFICATES", 20)
    for first, last in ((0, 10), (10, 21)):
        report(agent, *(state(f"n{number}") for number in range(first, last)))
    assert len(rows(agent)) == 20


def test_a_failure_is_history_once(agent: Agent) -> None:
    certificate = issue(agent)
    failure = {"cause": "port_closed", "sentence": "Port 80 is closed.", "at": "2026-11-24T10:00:00+00:00"}
    report(agent, state(failures=1, last_failure=failure))
    report(agent, state(failures=1, last_failure=failure, next_action="retry"))
    assert verbs(certificate).count("failed") == 1
    report(agent, state(failures=2, last_failure={**failure, "at": "2026-11-24T11:00:00+00:00"}))
    assert verbs(certificate).count("failed") == 2
    report(agent, state(serial="0b2c"))
    assert verbs(certificate)[-1] == "renewed"
    assert certificate.failures == 0


def test_an_order_that_failed_before_there_was_anything_to_report(agent: Agent) -> None:
    command = order(agent)
    end(command, error="No.", failure={"cause": "caa", "sentence": "CAA forbids it."}, dry_run=False)
    certificate = certificate_of(command)
    report(agent)
    assert (certificate.failures, certificate.last_failure) == (1, {"cause": "caa", "sentence": "CAA forbids it."})
    assert certificates.list_page(status="failing").items == [certificate]


def test_a_rehearsal_that_failed_says_nothing_of_the_certificate(agent: Agent) -> None:
    command = order(agent)
    end(command, error="No.", failure={"cause": "caa", "sentence": "No."}, dry_run=True)
    assert certificate_of(command).failures == 0


def test_what_there_is_is_counted(agent: Agent, host: ProxyHost) -> None:
    assert measures.take_tally().certificates == {"failing": 0, "present": 0, "absent": 1}
    assert measures.take_tally().seconds_left != measures.take_tally().seconds_left  # NaN
    report(agent, state(left=10), state("b.example.com", failures=1, left=1))
    tally = measures.take_tally()
    assert tally.certificates == {"failing": 1, "present": 1, "absent": 0}
    assert 9.9 < tally.seconds_left / 86_400 <= 10


# ---- what agents begin by themselves ----


def adopt(agent: Agent, command_id: str = BORN, name: str = "app.example.com", **values: Any) -> Command | None:
    now = utcnow()
    with transaction():
        return agent_jobs.adopt(agent, StartedCommand(command_id, name, values.get("at", now)), now)


def test_a_renewal_that_an_agent_began_gets_its_job(agent: Agent) -> None:
    certificate = issue(agent)
    began = utcnow() - timedelta(days=20)
    command = adopt(agent, at=began)
    assert command is not None
    assert (command.kind, command.state, command.created_by_id) == ("renew_certificate", "running", None)
    assert (command.certificate_id, command.resource) == (certificate.id, "acme:app.example.com")
    assert (command.started_at, command.created_at) == (began, began)
    assert adopt(agent) is command
    assert certificates.renew(certificate, None) is command


def test_one_that_began_long_ago_is_not_given_up_before_it_can_report(agent: Agent) -> None:
    issue(agent)
    command = adopt(agent, at=utcnow() - timedelta(days=20))
    with transaction():
        agent.is_connected, agent.last_seen_at = True, utcnow()
    with transaction():
        assert recovery.expire_due(utcnow()) == []
        assert recovery.expire_due(utcnow() + timedelta(minutes=32)) == [command]


def test_its_number_does_not_make_the_agents_journal_look_lost(agent: Agent) -> None:
    with transaction():
        sent = commands.enqueue(agent, CommandKind.RELOAD)
        sent.state, sent.sent_at = "sent", utcnow()
    adopt(agent)
    with transaction():
        recovered = recovery.recover(agent, [OpenCommand(BORN, JournalState.RUNNING)], utcnow(), last_seq=0)
    assert recovered.ended == []
    assert sent.state == "queued"


def test_hello_makes_the_row_that_is_missing(agent: Agent) -> None:
    now = utcnow()
    entry = OpenCommand(BORN, JournalState.FINISHED, StartedCommand(BORN, "app.example.com", now - timedelta(days=9)))
    with transaction():
        recovered = recovery.recover(agent, [entry], now)
    assert [one.command_id for one in recovered.stored] == [BORN]
    assert recovered.forget == []
    assert commands.get(BORN).state == "running"


@pytest.mark.parametrize(
    ("command_id", "name"),
    [("not-a-uuid", "a"), (BORN.upper(), "a"), (BORN, "../x"), (BORN, ""), ("{" + BORN[:34] + "}", "a")],
)
def test_what_no_agent_may_begin_gets_no_job(agent: Agent, command_id: str, name: str) -> None:
    assert adopt(agent, command_id, name) is None
    entry = OpenCommand(command_id, JournalState.RUNNING, StartedCommand(command_id, name, utcnow()))
    with transaction():
        recovered = recovery.recover(agent, [entry], utcnow())
    assert recovered.forget == [command_id]


def test_a_job_of_another_agent_is_not_taken(agent: Agent) -> None:
    other = Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", joined_at=utcnow())
    db.session.add(other)
    db.session.commit()
    foreign = adopt(other)
    assert foreign is not None
    assert adopt(agent) is None
    assert foreign.agent_id == other.id


def test_an_agent_begins_only_so_many_at_once(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    now = utcnow()
    monkeypatch.setattr(agent_jobs, "MAX_OPEN", 5)
    with transaction():
        for number in range(5):
            started = StartedCommand(f"9b1c2d3e-0000-4000-8000-{number:012x}", "app.example.com", now)
            assert agent_jobs.adopt(agent, started, now)
        one_more = StartedCommand("9b1c2d3e-0000-4000-8000-00000000000f", "app.example.com", now)
        assert agent_jobs.adopt(agent, one_more, now) is None


def test_a_clock_in_the_future_begins_now(agent: Agent) -> None:
    command = adopt(agent, at=utcnow() + timedelta(days=400))
    assert command is not None
    assert command.started_at is not None
    assert command.started_at <= utcnow()
