"""Renewals by the agent alone: when they are due, beside nginx, without a panel, whatever the clock says.
May import: agent, protos, tests.agent."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from agent.acme.renewer import Doors, Renewer
from agent.acme.state import Window
from agent.handlers import workshop
from agent.journal import MAX_OWN, Origin
from protos import command_stream_pb2 as pb
from tests.agent.acme.certificates import TestAuthority
from tests.agent.certificates.bench import CertificateBench
from tests.challtestsrv import Challtestsrv
from tests.pebble import Pebble, newer_pebble, running_pebble

ROOT = Path(__file__).parents[3]


def make_due(certificates: CertificateBench, *names: str) -> None:
    """Their window has passed."""
    past = datetime.now(UTC) - timedelta(days=1)
    for name in names:
        leaf = certificates.lineages.look(name).leaf
        assert leaf is not None
        certificates.store.update(name, window=Window(leaf.sha256, past, past + timedelta(hours=1), past))


def wake(certificates: CertificateBench) -> None:
    assert certificates.workshop is not None
    certificates.workshop._renewer.wake()


def started(certificates: CertificateBench) -> list[pb.CommandStarted]:
    return [m.command_started for m in certificates.sent if m.HasField("command_started")]


def test_a_renewal_is_served_and_five_old_versions_stay(certificates: CertificateBench) -> None:
    certificates.has_https("n.example")
    before = certificates.serial("n.example")
    command_id = certificates.begin(renew_certificate=pb.RenewCertificate(name="n.example"))
    result = certificates.result(command_id)
    assert result.error == "", certificates.text(command_id)
    assert result.renew_certificate.served
    assert certificates.serial("n.example") == result.renew_certificate.certificate.serial != before
    stages = [stage for stage in dict.fromkeys(certificates.stages(command_id)) if stage != "cleanup"]
    assert stages == ["order", "challenge", "validation", "issued", "installed", "reload", "served"]
    for _ in range(6):
        assert certificates.run(renew_certificate=pb.RenewCertificate(name="n.example")).error == ""
    assert certificates.lineages.versions("n.example") == [3, 4, 5, 6, 7, 8]


def test_what_is_due_is_renewed_by_the_agent_and_told(certificates: CertificateBench) -> None:
    certificates.has_https("due.example")
    before = certificates.serial("due.example")
    make_due(certificates, "due.example")
    wake(certificates)
    certificates.until(lambda: started(certificates))
    (command,) = started(certificates)
    assert command.renew_certificate.name == "due.example"
    assert abs(command.started_at.ToDatetime(UTC) - datetime.now(UTC)) < timedelta(minutes=1)
    result = certificates.result(command.command_id)
    assert result.error == "", certificates.text(command.command_id)
    assert certificates.serial("due.example") != before
    entry = certificates.bench.journal.get(command.command_id)
    assert entry is not None
    assert (entry.origin, entry.seq) == (Origin.HERE, 0)
    certificates.until(lambda: certificates.memory("due.example").ask_at)  # looked at, and not due again
    assert len(started(certificates)) == 1


def test_twenty_renewals_need_few_reloads(certificates: CertificateBench) -> None:
    names = [f"b{n}.example" for n in range(20)]
    ids = [
        certificates.begin(issue_certificate=pb.IssueCertificate(spec=certificates.spec(name), accept_warnings=True))
        for name in names
    ]
    assert {certificates.result(command_id).error for command_id in ids} == {""}
    for name in names:
        certificates.add_host(name, name)
    assert certificates.apply().error == ""
    before = {name: certificates.serial(name) for name in names}
    make_due(certificates, *names)
    wake(certificates)
    certificates.until(lambda: len(started(certificates)) == 20)
    for command in started(certificates):
        assert certificates.result(command.command_id).error == "", certificates.text(command.command_id)
    assert all(certificates.serial(name) != before[name] for name in names)
    reloads = 0.0
    for command in started(certificates):
        (text,) = [
            text
            for stage, level, text in certificates.bench.lines(command.command_id)
            if (stage, level) == ("reload", "stage")
        ]
        words = text.split()
        reloads += 1 / int(words[-2]) if words[-1] == "certificates" else 1
    assert round(reloads) <= 6, reloads


def test_nginx_that_refuses_the_new_one_goes_on_with_the_old_one(certificates: CertificateBench) -> None:
    """nginx does not take an empty file of trusted certificates, which is what an upload without a chain gives."""
    authority = TestAuthority()
    good, bare = authority.issue("up.example"), authority.issue("up.example")
    certificates.run(install_certificate=upload(good.fullchain_pem, good.key_pem))
    certificates.add_host("up.example", "up")
    (key,) = certificates.hosts
    trusted = f"    ssl_trusted_certificate {certificates.root}/live/up/chain.pem;\n    listen"
    certificates.hosts[key] = certificates.hosts[key].replace("    listen", trusted, 1)
    assert certificates.apply().error == ""
    before = certificates.serial("up.example")
    command_id = certificates.begin(install_certificate=upload(bare.leaf_pem, bare.key_pem))
    result = certificates.result(command_id)
    detail = result.install_certificate
    assert result.outcome == pb.CommandResult.FAILED
    assert (detail.failed_stage, detail.failure.cause, detail.rolled_back) == ("reload", "nginx_refused", True)
    assert "chain.pem" in detail.failure.detail
    assert certificates.lineages.look("up").version == 1
    assert certificates.serial("up.example") == before == detail.certificate.serial
    test = subprocess.run(["nginx", "-t", "-c", certificates.bench.layout.conf], capture_output=True)
    assert test.returncode == 0
    assert certificates.memory("up").install is None


def test_a_new_one_that_nginx_does_not_serve_is_put_back_and_installed_later_without_another_order(
    certificates: CertificateBench,
) -> None:
    certificates.issue("old.example")
    certificates.add_host("old.example", "old.example")
    certificates.add_host("else.example", "old.example")
    (key,) = [key for key in certificates.hosts if "old" in key]
    # nginx is given the first version by its own name, so that a switch of the link changes nothing.
    wrong = certificates.hosts[key]
    for kind in ("fullchain", "privkey"):
        live = f"{certificates.root}/live/old.example/{kind}.pem"
        wrong = wrong.replace(live, f"{certificates.root}/archive/old.example/{kind}1.pem")
    named = "".join(text for name, text in certificates.hosts.items() if name != key)
    right = dict(certificates.hosts)
    certificates.hosts = {key: wrong + named}
    assert certificates.apply().error == ""
    before = certificates.pebble.issued()
    result = certificates.run(renew_certificate=pb.RenewCertificate(name="old.example"))
    detail = result.renew_certificate
    assert result.outcome == pb.CommandResult.FAILED
    assert (detail.failed_stage, detail.failure.cause, detail.rolled_back) == ("served", "nginx_refused", True)
    assert certificates.lineages.look("old.example").version == 1
    assert certificates.memory("old.example").failures == 1
    assert certificates.pebble.issued() - before == 1
    certificates.hosts = right
    assert certificates.apply().error == ""
    again = certificates.run(renew_certificate=pb.RenewCertificate(name="old.example"))
    assert again.error == ""
    assert again.renew_certificate.served
    assert certificates.lineages.look("old.example").version == 2
    assert certificates.pebble.issued() - before == 1
    assert certificates.memory("old.example").failures == 0


def test_a_stopped_nginx_takes_the_certificate_when_it_starts(certificates: CertificateBench) -> None:
    certificates.has_https("late.example")
    authority = TestAuthority()
    material = authority.issue("late.example")
    certificates.run(install_certificate=upload(material.fullchain_pem, material.key_pem))
    certificates.add_host("late.example", "up")
    assert certificates.apply().error == ""
    certificates.bench.stop()
    second = authority.issue("late.example")
    result = certificates.run(install_certificate=upload(second.fullchain_pem, second.key_pem))
    assert result.error == ""
    assert not result.install_certificate.served
    certificates.bench.start()
    assert certificates.served_leaf("late.example").strip() == second.leaf_pem.strip()


def test_a_certificate_that_was_between_two_links_is_mended_at_the_next_renewal(certificates: CertificateBench) -> None:
    certificates.issue("mix.example")
    certificates.run(renew_certificate=pb.RenewCertificate(name="mix.example"))
    link = certificates.root / "live" / "mix.example" / "privkey.pem"
    link.unlink()
    link.symlink_to("../../archive/mix.example/privkey1.pem")
    assert certificates.lineages.look("mix.example").problem
    before = certificates.pebble.issued()
    result = certificates.run(renew_certificate=pb.RenewCertificate(name="mix.example"))
    assert result.error == ""
    assert certificates.lineages.look("mix.example").problem == ""
    assert certificates.pebble.issued() == before  # the newest version was whole


def test_a_link_that_is_mended_at_the_start_leaves_no_host_on_plain_http(certificates: CertificateBench) -> None:
    certificates.has_https("start.example")
    certificates.stop()
    (certificates.root / "live" / "start.example" / "privkey.pem").unlink()
    config = certificates.bench.config
    settings = {
        "AGENT_STATE_DIR": config.state_dir,
        "AGENT_HTTP_PORT": config.http_port,
        "AGENT_HTTPS_PORT": config.https_port,
        "AGENT_STATUS_PORT": config.status_port,
        "LETSENCRYPT_DIR": config.letsencrypt_dir,
    }
    environ = {**os.environ, **{name: str(value) for name, value in settings.items()}}
    subprocess.run([sys.executable, "-m", "agent", "prepare"], cwd=ROOT, env=environ, check=True, timeout=60)
    assert certificates.lineages.look("start.example").problem == ""
    assert "whose certificate is gone" not in certificates.bench.layout.conf.read_text()


# ---- when -----------------------------------------------------------------------------------------------------------


class Clock:
    """A renewer that only writes down what it would begin, and a clock that can be moved."""

    def __init__(self, certificates: CertificateBench) -> None:
        assert certificates.workshop is not None
        self.offset = timedelta()
        self.begun: list[str] = []
        doors = Doors(self._renew, lambda name, task: self.begun.append(f"ask {name}"))
        self.renewer = Renewer(
            certificates.workshop.certificates, certificates.store, certificates.lineages, doors, now=self.now
        )

    def now(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def _renew(self, name: str) -> bool:
        self.begun.append(name)
        return True


@pytest.fixture
def clock(certificates: CertificateBench) -> Clock:
    """Of a certificate of 90 days that was put there today; the agent's own renewer rests."""
    assert certificates.workshop is not None
    certificates.workshop._renewer.stop()
    certificates.put_aged("c.example", TestAuthority().issue("c.example"), "https://ca.example/dir")
    result = certificates.run(configure_certificate=pb.ConfigureCertificate(spec=certificates.spec("c.example")))
    assert result.error == ""
    return Clock(certificates)


def test_nothing_is_begun_before_it_is_due(certificates: CertificateBench, clock: Clock) -> None:
    certificates.store.update("c.example", ask_at=clock.now() + timedelta(hours=6))
    assert clock.renewer.look() == 60.0
    assert clock.begun == []


def test_a_clock_that_jumps_ahead_makes_it_due_once(
    certificates: CertificateBench, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.offset = timedelta(days=70)
    assert clock.renewer.look() == 60.0
    clock.renewer.look()
    assert clock.begun == ["c.example"]  # held, though nothing was remembered of it
    assert "clock was moved by 6048000 s" in caplog.text
    assert certificates.memory("c.example").failures == 0


def test_a_clock_that_went_back_leaves_nothing_waiting_for_years(certificates: CertificateBench, clock: Clock) -> None:
    year = timedelta(days=365)
    future = clock.now() + year
    certificates.store.update("c.example", failures=1, failed_at=future, ask_at=future, last_attempt_at=future)
    make_due(certificates, "c.example")
    clock.renewer.look()
    memory = certificates.memory("c.example")
    assert memory.failed_at is not None
    assert memory.failed_at <= clock.now()
    assert clock.begun == ["ask c.example"]
    certificates.store.update("c.example", ask_at=clock.now() + timedelta(hours=6))
    clock.offset = timedelta(minutes=2)
    clock.renewer.look()
    assert clock.begun == ["ask c.example", "c.example"]
    clock.offset = -10 * year
    clock.renewer.look()
    assert clock.begun[2:] == ["ask c.example"]  # the clock of an authority tells no better, and asking is free


def test_after_failures_the_next_attempt_waits_as_it_says(certificates: CertificateBench, clock: Clock) -> None:
    make_due(certificates, "c.example")
    certificates.store.update("c.example", failures=2, failed_at=clock.now(), ask_at=clock.now() + timedelta(hours=6))
    assert clock.renewer.look() == 60.0
    clock.offset = timedelta(minutes=9, seconds=50)
    assert clock.renewer.look() > 5
    assert clock.begun == []
    clock.offset = timedelta(minutes=11, seconds=10)
    clock.renewer.look()
    assert clock.begun == ["c.example"]


def test_a_renewal_that_finds_no_room_is_begun_a_little_later(certificates: CertificateBench) -> None:
    certificates.issue("full.example")
    assert certificates.workshop is not None
    certificates.workshop._renewer.stop()
    doors = Doors(lambda _: False, lambda *_: None)
    renewer = Renewer(certificates.workshop.certificates, certificates.store, certificates.lineages, doors)
    make_due(certificates, "full.example")
    assert renewer.look() == 5.0
    assert 4 < renewer.look() <= 5.0


# ---- renewal information --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def informed(tmp_path_factory: pytest.TempPathFactory, dns: Challtestsrv, pebble: Pebble) -> Iterator[Pebble]:
    """A Pebble that gives renewal information."""
    folder = tmp_path_factory.mktemp("informed")
    with running_pebble(folder, http_port=pebble.http_port, dns_server=dns.dns_server, binary=newer_pebble()) as newer:
        yield newer


def test_a_window_is_asked_for_and_one_in_the_past_renews_now(certificates: CertificateBench, informed: Pebble) -> None:
    certificates.pebble = informed
    certificates.has_https("ari.example")
    certificates.until(lambda: certificates.memory("ari.example").window)
    memory = certificates.memory("ari.example")
    assert memory.window is not None
    assert memory.window.start <= memory.window.chosen < memory.window.end
    assert memory.ask_at is not None
    report = certificates.reports()[-1].certificates[0]
    assert report.window_end.ToDatetime(UTC) == memory.window.end
    certificates.stop()
    certificates.start()  # the moment that was chosen is kept
    assert certificates.memory("ari.example").window == memory.window

    leaf_pem = certificates.lineages.material("ari.example").leaf_pem
    body = (
        '{"suggestedWindow": {"start": "2020-01-01T00:00:00Z", "end": "2020-01-02T00:00:00Z"},'
        ' "explanationURL": "https://incident.example/"}'
    )
    informed.set_renewal_info(leaf_pem, body)
    before = certificates.serial("ari.example")
    certificates.store.update("ari.example", ask_at=datetime.now(UTC))
    wake(certificates)
    certificates.until(lambda: started(certificates))
    result = certificates.result(started(certificates)[-1].command_id)
    assert result.error == "", certificates.text(started(certificates)[-1].command_id)
    assert certificates.serial("ari.example") != before
    urls = {c.window_url for report in certificates.reports() for c in report.certificates}
    assert "https://incident.example/" in urls


def test_an_authority_whose_windows_have_always_passed_is_not_asked_again_at_once(
    certificates: CertificateBench,
) -> None:
    certificates.issue("early.example")
    assert certificates.workshop is not None
    certificates.workshop._renewer.stop()
    make_due(certificates, "early.example")
    assert certificates.run(renew_certificate=pb.RenewCertificate(name="early.example")).error == ""
    memory = certificates.memory("early.example")
    assert memory.window is None
    assert memory.ask_at is not None
    assert memory.ask_at > datetime.now(UTC) + timedelta(hours=5)


# ---- failures -------------------------------------------------------------------------------------------------------


# A connection that is refused is closed by gevent a moment after the last reference to it has gone.
@pytest.mark.filterwarnings("ignore:.*unclosed <socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_staging_is_asked_first_after_a_failure_and_another_authority_after_two(
    certificates: CertificateBench, dns: Challtestsrv, tmp_path: Path
) -> None:
    with (
        running_pebble(tmp_path / "s", http_port=certificates.pebble.http_port, dns_server=dns.dns_server) as staging,
        running_pebble(tmp_path / "o", http_port=certificates.pebble.http_port, dns_server=dns.dns_server) as other,
    ):
        certificates.issue("f.example")
        main = certificates.authority(staging_directory_url=staging.directory_url)
        main.ca_pem += staging.ca_pem.encode()
        second = certificates.authority()
        second.id, second.label, second.directory_url = "2", "Other", other.directory_url
        second.ca_pem = other.ca_pem.encode()
        spec = certificates.spec("f.example")
        del spec.authorities[:]
        spec.authorities.extend([main, second])
        assert certificates.run(configure_certificate=pb.ConfigureCertificate(spec=spec)).error == ""
        certificates.store.update("f.example", failures=1)
        command_id = certificates.begin(renew_certificate=pb.RenewCertificate(name="f.example"))
        assert certificates.result(command_id).error == "", certificates.text(command_id)
        assert "staging directory is asked first" in certificates.text(command_id)
        assert staging.issued() == 1
        assert certificates.memory("f.example").failures == 0

        certificates.pebble.stop()
        failures = []
        for _ in range(2):
            certificates.store.update("f.example", refusals=certificates.memory("f.example").refusals)
            result = certificates.run(renew_certificate=pb.RenewCertificate(name="f.example"))
            failures.append(result.renew_certificate.failure.cause)
        certificates.pebble.start()
        assert failures[0] == "authority_unreachable"
        assert certificates.memory("f.example").failures == 2
        certificates.store.update("f.example", refusals=2)
        result = certificates.run(renew_certificate=pb.RenewCertificate(name="f.example"))
        assert result.error == ""
        assert result.renew_certificate.certificate.directory_url == other.directory_url


def test_after_a_failure_at_the_authority_staging_is_asked_first_as_long_as_it_answers(
    certificates: CertificateBench, dns: Challtestsrv, tmp_path: Path
) -> None:
    certificates.issue("s.example")
    with running_pebble(tmp_path / "s", http_port=certificates.pebble.http_port, dns_server=dns.dns_server) as staging:
        main = certificates.authority(staging_directory_url=staging.directory_url)
        main.ca_pem += staging.ca_pem.encode()
        spec = certificates.spec("s.example")
        del spec.authorities[:]
        spec.authorities.append(main)
        assert certificates.run(configure_certificate=pb.ConfigureCertificate(spec=spec)).error == ""

        fail_at_the_authority(certificates, "s.example")
        command_id = certificates.begin(renew_certificate=pb.RenewCertificate(name="s.example"))
        assert certificates.result(command_id).error == "", certificates.text(command_id)
        assert "staging directory is asked first" in certificates.text(command_id)
        assert staging.issued() == 1
    fail_at_the_authority(certificates, "s.example")
    command_id = certificates.begin(renew_certificate=pb.RenewCertificate(name="s.example"))
    assert certificates.result(command_id).error == "", certificates.text(command_id)
    assert "Going on without a rehearsal" in certificates.text(command_id)


def test_another_kind_of_key_after_a_failure_is_the_kind_that_comes(certificates: CertificateBench) -> None:
    certificates.issue("k.example")
    fail_at_the_authority(certificates, "k.example")
    spec = certificates.spec("k.example")
    spec.key_type = "rsa-2048"
    assert certificates.run(configure_certificate=pb.ConfigureCertificate(spec=spec)).error == ""
    result = certificates.run(renew_certificate=pb.RenewCertificate(name="k.example"))
    assert result.error == ""
    assert result.renew_certificate.certificate.key_type == "rsa-2048"


def test_a_version_that_waits_is_not_used_for_another_kind_of_key(certificates: CertificateBench) -> None:
    certificates.issue("w.example")
    certificates.lineages.add("w.example", TestAuthority().issue("w.example"))
    spec = certificates.spec("w.example")
    spec.key_type = "rsa-2048"
    assert certificates.run(configure_certificate=pb.ConfigureCertificate(spec=spec)).error == ""
    result = certificates.run(renew_certificate=pb.RenewCertificate(name="w.example"))
    assert result.error == ""
    assert result.renew_certificate.certificate.key_type == "rsa-2048"


def fail_at_the_authority(certificates: CertificateBench, name: str) -> None:
    """One renewal while it is away."""
    certificates.pebble.stop()
    result = certificates.run(renew_certificate=pb.RenewCertificate(name=name))
    certificates.pebble.start()
    assert result.renew_certificate.failure.cause == "authority_unreachable"
    assert certificates.memory(name).failures == 1


def test_a_record_by_hand_is_not_waited_for_at_night(certificates: CertificateBench) -> None:
    spec = certificates.spec("hand.example", dns=pb.DnsCredential(id="1", label="By hand", provider="manual"))
    spec.challenge = pb.CertificateSpec.DNS_01
    certificates.put_aged("hand.example", TestAuthority().issue("hand.example", age=70), "https://ca.example/dir")
    assert certificates.run(configure_certificate=pb.ConfigureCertificate(spec=spec)).error == ""
    certificates.until(lambda: started(certificates))
    result = certificates.result(started(certificates)[0].command_id)
    assert "must be added by hand" in result.error
    assert result.renew_certificate.failure.next_step


def test_a_person_adds_a_record_once_and_not_for_a_rehearsal_too(certificates: CertificateBench) -> None:
    assert certificates.workshop is not None
    by_hand = pb.DnsCredential(id="1", label="By hand", provider="manual")
    spec = certificates.spec("once.example", dns=by_hand, paused=True)
    spec.challenge = pb.CertificateSpec.DNS_01
    spec.authorities[0].staging_directory_url = "https://127.0.0.1:9/directory"
    assert certificates.run(configure_certificate=pb.ConfigureCertificate(spec=spec)).error == ""
    certificates.store.update("once.example", failures=1)
    command_id = certificates.begin(issue_certificate=pb.IssueCertificate(spec=spec, accept_warnings=True))
    certificates.until(lambda: any(level == "record" for _, level, _ in certificates.bench.lines(command_id)))
    certificates.workshop.dispatcher.cancel(command_id)
    certificates.result(command_id)
    assert "staging" not in certificates.text(command_id)


def test_what_was_settled_a_week_ago_is_forgotten_while_the_agent_runs(
    certificates: CertificateBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, old = certificates.bench.journal, certificates.begin(reload=pb.Reload())
    for command_id in (old, certificates.begin(reload=pb.Reload())):
        certificates.result(command_id)
        journal.confirm(command_id, 1000, final_stored=True)
    with closing(sqlite3.connect(certificates.bench.config.journal_path)) as db, db:
        db.execute("UPDATE command SET accepted_at = accepted_at - 8 * 86400 WHERE id = ?", (old,))
    assert certificates.workshop is not None
    certificates.workshop.tick()
    assert journal.get(old) is not None  # once a day is enough
    monkeypatch.setattr(workshop, "TIDY_SECONDS", 0.0)
    certificates.workshop.tick()
    assert journal.get(old) is None


def test_weeks_without_a_panel_leave_room_in_the_journal(certificates: CertificateBench) -> None:
    assert certificates.workshop is not None
    dispatcher = certificates.workshop.dispatcher
    for number in range(MAX_OWN + 5):
        command = pb.Command(command_id=f"own-{number}", renew_certificate=pb.RenewCertificate(name="none.example"))
        certificates.until(partial(dispatcher.begin_own, command))
    certificates.result(f"own-{MAX_OWN + 4}")
    own = [entry for entry in certificates.bench.journal.open_commands() if entry.origin is Origin.HERE]
    assert len(own) == MAX_OWN
    assert certificates.issue("room.example").error == ""


def upload(fullchain_pem: str, key_pem: str) -> pb.InstallCertificate:
    return pb.InstallCertificate(name="up", fullchain_pem=fullchain_pem.encode(), key_pem=key_pem.encode())
