"""From a click to https: one command, its stages, one order, whatever goes wrong on the way.
May import: agent, protos, tests.agent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agent.acme.certbot import read_renewal
from agent.acme.leaf import Material
from agent.acme.state import Source
from protos import command_stream_pb2 as pb
from tests.agent.acme.certificates import TestAuthority
from tests.agent.certificates.bench import CertificateBench
from tests.challtestsrv import Challtestsrv


def test_a_certificate_for_a_host_that_waits_is_served_by_the_end_of_one_command(
    certificates: CertificateBench,
) -> None:
    certificates.add_host("a.example")
    assert certificates.apply().error == ""
    spec = certificates.spec("a.example")
    command_id = certificates.begin(issue_certificate=pb.IssueCertificate(spec=spec, host_waits=True))
    certificates.until(lambda: any(c.present for report in certificates.reports() for c in report.certificates))
    certificates.add_host("a.example", "a.example")  # as the panel does when it hears of it
    applied = certificates.apply()
    assert applied.error == "", applied
    result = certificates.result(command_id)
    assert result.error == "", certificates.text(command_id)
    assert result.issue_certificate.served
    state = result.issue_certificate.certificate
    assert state.present
    assert state.source == pb.CertificateState.ACME
    assert list(state.names) == ["a.example"]
    assert state.serial == certificates.serial("a.example")
    assert state.next_action == "renew"
    assert state.served
    stages = list(dict.fromkeys(certificates.stages(command_id)))
    assert [s for s in stages if s != "cleanup"] == [
        "check",
        "order",
        "challenge",
        "validation",
        "issued",
        "installed",
        "reload",
        "served",
    ]


def test_fifty_clicks_make_one_order(certificates: CertificateBench) -> None:
    before = certificates.pebble.issued()
    wish = pb.IssueCertificate(spec=certificates.spec("fifty.example"), accept_warnings=True)
    ids = [certificates.begin(issue_certificate=wish) for _ in range(50)]
    results = [certificates.result(command_id) for command_id in ids]
    assert {result.error for result in results} == {""}
    assert len({result.issue_certificate.certificate.serial for result in results}) == 1
    assert certificates.pebble.issued() - before == 1
    assert "No second one was ordered" in certificates.text(ids[-1])
    again = certificates.begin(issue_certificate=wish)
    assert certificates.result(again).error == ""
    assert "a moment ago" in certificates.text(again)
    assert certificates.pebble.issued() - before == 1


def test_a_renewal_that_waited_for_another_one_orders_nothing(certificates: CertificateBench) -> None:
    certificates.issue("r.example")
    before = certificates.pebble.issued()
    ids = [certificates.begin(renew_certificate=pb.RenewCertificate(name="r.example")) for _ in range(10)]
    assert {certificates.result(command_id).error for command_id in ids} == {""}
    assert certificates.pebble.issued() - before == 1
    assert certificates.lineages.look("r.example").version == 2


def test_certificates_are_worked_on_beside_each_other(certificates: CertificateBench) -> None:
    names = [f"par{n}.example" for n in range(8)]
    ids = [
        certificates.begin(issue_certificate=pb.IssueCertificate(spec=certificates.spec(name), accept_warnings=True))
        for name in names
    ]
    assert {certificates.result(command_id).error for command_id in ids} == {""}
    assert set(certificates.lineages.names()) >= set(names)
    report = certificates.reports()[-1]
    assert report.letsencrypt_dir == str(certificates.root)
    assert {c.name for c in report.certificates} >= set(names)


def test_a_try_installs_nothing(certificates: CertificateBench) -> None:
    spec = certificates.spec("dry.example")
    result = certificates.run(issue_certificate=pb.IssueCertificate(spec=spec, dry_run=True, accept_warnings=True))
    assert result.error == ""
    assert result.issue_certificate.dry_run
    assert not result.issue_certificate.HasField("certificate")
    assert certificates.lineages.names() == []
    assert certificates.store.get("dry.example") is None


def test_a_try_at_an_authority_without_staging_is_refused(certificates: CertificateBench) -> None:
    authority = certificates.authority()
    authority.is_test = False
    spec = certificates.spec("dry.example")
    spec.authorities[0].CopyFrom(authority)
    before = certificates.pebble.issued()
    result = certificates.run(issue_certificate=pb.IssueCertificate(spec=spec, dry_run=True, accept_warnings=True))
    assert result.outcome == pb.CommandResult.FAILED
    assert certificates.pebble.issued() == before


def test_what_the_check_finds_stops_the_order_and_it_is_tried_again_by_itself(
    certificates: CertificateBench, dns: Challtestsrv
) -> None:
    dns.set_servfail("broken.example")
    before = certificates.pebble.issued()
    result = certificates.issue("broken.example")
    dns.clear_servfail("broken.example")
    detail = result.issue_certificate
    assert result.outcome == pb.CommandResult.FAILED
    assert result.error == detail.failure.sentence
    assert (detail.failed_stage, detail.failure.cause) == ("check", "dns_broken")
    assert detail.failure.next_step
    assert detail.failure.HasField("retry_at")
    assert any(finding.level == pb.Finding.ERROR for finding in detail.findings)
    assert detail.certificate.next_action == "retry"
    assert detail.certificate.failures == 1
    assert not detail.certificate.present
    assert certificates.pebble.issued() == before
    memory = certificates.memory("broken.example")
    certificates.store.put(replace(memory, failed_at=memory.failed_at and memory.failed_at.replace(year=2020)))
    assert certificates.workshop is not None
    certificates.workshop._certificates_changed()
    certificates.until(lambda: certificates.lineages.look("broken.example").version)
    started = next(m.command_started for m in certificates.sent if m.HasField("command_started"))
    assert started.renew_certificate.name == "broken.example"
    assert certificates.result(started.command_id).error == ""
    assert certificates.memory("broken.example").failures == 0


def test_warnings_are_asked_about_and_nothing_is_ordered(certificates: CertificateBench) -> None:
    name = "xn--pypal-4ve.example"  # one letter is Cyrillic
    before = certificates.pebble.issued()
    result = certificates.run(issue_certificate=pb.IssueCertificate(spec=certificates.spec(name)))
    assert result.outcome == pb.CommandResult.FAILED
    assert result.issue_certificate.needs_confirmation
    assert "say whether to go on" in result.error
    assert any(finding.level == pb.Finding.WARNING for finding in result.issue_certificate.findings)
    assert certificates.pebble.issued() == before
    assert certificates.store.get(name) is None
    assert certificates.issue(name).error == ""


def test_the_check_alone_is_a_question(certificates: CertificateBench) -> None:
    assert certificates.workshop is not None
    question = pb.Command(command_id="q", check_names=pb.CheckNames(spec=certificates.spec("*.ask.example", "x")))
    certificates.workshop.questions.begin(question)
    certificates.until(lambda: any(m.command_result.command_id == "q" for m in certificates.sent))
    result = next(m.command_result for m in certificates.sent if m.command_result.command_id == "q")
    assert result.outcome == pb.CommandResult.SUCCEEDED
    causes = {finding.cause for finding in result.check_names.findings if finding.level == pb.Finding.ERROR}
    assert "wildcard_needs_dns" in causes
    assert certificates.store.get("ask.example") is None


def test_a_record_that_a_person_must_add_is_shown_and_waited_for(
    certificates: CertificateBench, dns: Challtestsrv
) -> None:
    spec = certificates.spec("*.man.example", dns=pb.DnsCredential(id="1", label="By hand", provider="manual"))
    spec.challenge = pb.CertificateSpec.DNS_01
    command_id = certificates.begin(issue_certificate=pb.IssueCertificate(spec=spec, accept_warnings=True))
    certificates.until(lambda: any(level == "record" for _, level, _ in certificates.bench.lines(command_id)))
    record = next(text for _, level, text in certificates.bench.lines(command_id) if level == "record")
    name, kind, value = record.split()
    assert (name, kind) == ("_acme-challenge.man.example", "TXT")
    dns.set_txt(f"{name}.", value)
    result = certificates.result(command_id)
    assert result.error == "", certificates.text(command_id)
    assert list(result.issue_certificate.certificate.names) == ["*.man.example"]
    assert result.issue_certificate.certificate.name == "man.example"


def test_a_cancelled_order_leaves_nothing_behind(certificates: CertificateBench) -> None:
    assert certificates.workshop is not None
    spec = certificates.spec("*.stop.example", dns=pb.DnsCredential(id="1", label="By hand", provider="manual"))
    spec.challenge = pb.CertificateSpec.DNS_01
    command_id = certificates.begin(issue_certificate=pb.IssueCertificate(spec=spec, accept_warnings=True))
    waiting = certificates.begin(issue_certificate=pb.IssueCertificate(spec=spec, accept_warnings=True))
    certificates.until(lambda: any(level == "record" for _, level, _ in certificates.bench.lines(command_id)))
    for each in (waiting, command_id):
        certificates.workshop.dispatcher.cancel(each)
    assert certificates.result(command_id).outcome == pb.CommandResult.CANCELLED
    assert certificates.result(waiting).outcome == pb.CommandResult.CANCELLED
    assert certificates.lineages.names() == []
    assert certificates.memory("stop.example").failures == 0


def test_a_name_that_certbot_has_is_not_touched_before_it_is_taken_over(certificates: CertificateBench) -> None:
    authority = TestAuthority()
    certificates.put_aged("bot.example", authority.issue("bot.example", "www.bot.example"), "https://old.example/dir")
    conf = certificates.root / "renewal" / "bot.example.conf"
    conf.write_text("version = 2.1.0\n" + conf.read_text().split("\n", 1)[1].replace("autorenew = False\n", ""))
    assert certificates.workshop is not None
    (found,) = certificates.workshop.certificates.statuses()
    assert (found.source, found.directory_url) == (Source.CERTBOT, "https://old.example/dir")
    for result in (
        certificates.issue("bot.example"),
        certificates.run(renew_certificate=pb.RenewCertificate(name="bot.example")),
        certificates.run(delete_certificate=pb.DeleteCertificate(name="bot.example")),
    ):
        assert "belongs to certbot" in result.error
    taken = certificates.run(
        take_over_certificate=pb.TakeOverCertificate(spec=certificates.spec("other.example", name="bot.example"))
    )
    assert taken.error == ""
    state = taken.take_over_certificate.certificate
    assert state.source == pb.CertificateState.ACME
    assert state.next_action == "renew"
    assert certificates.memory("bot.example").spec.names == ("bot.example", "www.bot.example")  # type: ignore[union-attr]
    renewal = read_renewal(certificates.root, "bot.example")
    assert renewal is not None
    assert not renewal.autorenew
    renewed = certificates.run(renew_certificate=pb.RenewCertificate(name="bot.example"))
    assert renewed.error == ""
    assert renewed.renew_certificate.certificate.directory_url == certificates.pebble.directory_url


def test_what_is_used_is_not_deleted(certificates: CertificateBench) -> None:
    certificates.has_https("used.example")
    refused = certificates.run(delete_certificate=pb.DeleteCertificate(name="used.example"))
    assert "uses the certificate used.example" in refused.error
    assert certificates.serial("used.example")
    certificates.hosts.clear()
    assert certificates.apply().error == ""
    gone = certificates.run(delete_certificate=pb.DeleteCertificate(name="used.example"))
    assert gone.error == ""
    assert not gone.delete_certificate.HasField("certificate")
    assert certificates.lineages.names() == []
    assert certificates.reports()[-1].certificates == []


def test_a_revoked_certificate_is_not_renewed_by_itself(certificates: CertificateBench) -> None:
    certificates.issue("rev.example")
    leaf_pem = certificates.lineages.material("rev.example").leaf_pem
    result = certificates.run(revoke_certificate=pb.RevokeCertificate(name="rev.example", reason=1))
    assert result.error == ""
    assert certificates.pebble.status_of(leaf_pem) == "Revoked"
    state = result.revoke_certificate.certificate
    assert state.HasField("revoked_at")
    assert state.next_action == ""
    assert certificates.run(revoke_certificate=pb.RevokeCertificate(name="rev.example", reason=0)).error == ""
    refused = certificates.run(revoke_certificate=pb.RevokeCertificate(name="rev.example", reason=7))
    assert "0, 1, 3, 4 and 5" in refused.error


def test_a_paused_certificate_is_not_due(certificates: CertificateBench) -> None:
    certificates.issue("pause.example")
    spec = certificates.spec("pause.example", paused=True)
    result = certificates.run(configure_certificate=pb.ConfigureCertificate(spec=spec))
    assert result.error == ""
    assert result.configure_certificate.certificate.paused
    assert result.configure_certificate.certificate.next_action == ""


def test_an_upload_is_replaced_in_place(certificates: CertificateBench) -> None:
    authority = TestAuthority()
    first, second = authority.issue("up.example"), authority.issue("up.example", "www.up.example")
    result = certificates.run(install_certificate=_upload(first))
    assert result.error == ""
    state = result.install_certificate.certificate
    assert (state.source, state.present, state.next_action) == (pb.CertificateState.UPLOAD, True, "")
    certificates.add_host("up.example", "up")
    assert certificates.apply().error == ""
    replaced = certificates.run(install_certificate=_upload(second))
    assert replaced.error == ""
    assert replaced.install_certificate.served
    assert replaced.install_certificate.certificate.serial == certificates.serial("up.example")
    assert list(replaced.install_certificate.certificate.names) == ["up.example", "www.up.example"]
    assert (
        "was uploaded"
        in certificates.run(
            configure_certificate=pb.ConfigureCertificate(spec=certificates.spec("up.example", name="up"))
        ).error
    )
    assert "does not know how to renew" in certificates.run(renew_certificate=pb.RenewCertificate(name="up")).error


def test_an_upload_that_cannot_work_is_refused(certificates: CertificateBench) -> None:
    authority = TestAuthority()
    good, other = authority.issue("up.example"), authority.issue("up.example")
    mixed = Material(good.leaf_pem, good.chain_pem, other.key_pem)
    assert "does not belong" in certificates.run(install_certificate=_upload(mixed)).error
    ended = certificates.run(install_certificate=_upload(authority.issue("up.example", days=10, age=11)))
    assert "ended on" in ended.error
    nothing = certificates.run(install_certificate=_upload(Material("nothing", "", good.key_pem)))
    assert "cannot be read" in nothing.error
    assert certificates.lineages.names() == []
    certificates.issue("acme.example")
    refused = certificates.run(
        install_certificate=pb.InstallCertificate(
            name="acme.example", fullchain_pem=good.fullchain_pem.encode(), key_pem=good.key_pem.encode()
        )
    )
    assert "is obtained from an authority" in refused.error


def test_files_that_vanish_or_change_are_told(certificates: CertificateBench) -> None:
    assert certificates.workshop is not None
    certificates.issue("gone.example")
    count = len(certificates.reports())
    certificates.workshop.tick()
    assert len(certificates.reports()) == count  # nothing new, nothing told
    (certificates.root / "archive" / "gone.example" / "privkey1.pem").unlink()
    certificates.workshop.tick()
    (state,) = certificates.reports()[-1].certificates
    assert not state.present
    assert "privkey.pem cannot be read" in state.problem
    certificates.workshop.connected()
    certificates.workshop.tick()
    assert len(certificates.reports()) == count + 2  # all of it in each session


@pytest.mark.parametrize("name", ["../../etc", "a/b", ".hidden"])
def test_a_name_is_never_a_path(certificates: CertificateBench, name: str) -> None:
    results = [
        certificates.run(issue_certificate=pb.IssueCertificate(spec=certificates.spec("a.example", name=name))),
        certificates.run(delete_certificate=pb.DeleteCertificate(name=name)),
        certificates.run(renew_certificate=pb.RenewCertificate(name=name)),
        certificates.run(revoke_certificate=pb.RevokeCertificate(name=name)),
        certificates.run(install_certificate=pb.InstallCertificate(name=name)),
    ]
    assert all("cannot be called" in result.error for result in results)


def _upload(material: Material) -> pb.InstallCertificate:
    return pb.InstallCertificate(
        name="up", fullchain_pem=material.fullchain_pem.encode(), key_pem=material.key_pem.encode()
    )
