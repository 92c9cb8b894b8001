"""Certificates on the wire: specs with their secrets go down, states and renewals come up, and nothing else does."""

from __future__ import annotations

import pytest
from flask import Flask
from google.protobuf.timestamp_pb2 import Timestamp
from sqlalchemy import select

from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Certificate, Command, CommandKind, CommandState, DnsCredential, ProxyHost, UploadedKey
from panel.rpc import certificate_states
from panel.services import agents, authorities, certificates, commands, dns_credentials, proxy_hosts
from panel.services.authorities import AuthoritySpec
from panel.services.certificates import CertificateSpec
from panel.services.dns_credentials import CredentialSpec
from panel.services.proxy_hosts import ProxyHostSpec
from protos import command_stream_pb2 as pb
from tests.panel.rpc.conftest import APPLIED, Join
from tests.panel.rpc.wire import Identity, Wire, until
from tests.panel.services import pems

FOLDER = "/var/lib/waypost/letsencrypt"
BORN = "9b1c2d3e-0000-4000-8000-00000000000a"
EAB_KEY = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
CLOUDFLARE = pb.DnsProvider(
    id="cloudflare", label="Cloudflare", fields=[pb.DnsProviderField(name="token", label="Token", secret=True)]
)


def state(name: str = "app.example.com", **values: object) -> pb.CertificateState:
    facts = {
        "source": pb.CertificateState.ACME,
        "names": [name],
        "serial": "0a1b",
        "issuer": "Test CA",
        "not_before": Timestamp(seconds=1_795_000_000),
        "not_after": Timestamp(seconds=1_802_000_000),
        "chain_path": f"{FOLDER}/live/{name}/fullchain.pem",
        "key_path": f"{FOLDER}/live/{name}/privkey.pem",
        "present": True,
    }
    return pb.CertificateState(name=name, **{**facts, **values})  # type: ignore[arg-type]


def report(*states: pb.CertificateState, **values: str) -> pb.Report:
    certificates = pb.CertificateReport(certificates=states, letsencrypt_dir=FOLDER, **values)
    return pb.Report(nginx=pb.NginxFacts(version="1.22.1", applied_revision=APPLIED), certificates=certificates)


def ended(command_id: str, **values: object) -> pb.CommandResult:
    return pb.CommandResult(
        command_id=command_id,
        **{"outcome": pb.CommandResult.SUCCEEDED, **values},  # type: ignore[arg-type]
    )


def ask(app: Flask, agent_id: str, *names: str, **values: object) -> str:
    with app.app_context(), transaction():
        spec = CertificateSpec(agent_id, names or ("app.example.com",), **values)  # type: ignore[arg-type]
        return certificates.request(spec, None).id


def read(app: Flask, command_id: str) -> Command:
    with app.app_context():
        command = commands.get(command_id)
        db.session.expunge(command)
        return command


def rows(app: Flask, agent_id: str) -> dict[str, Certificate]:
    with app.app_context():
        found = db.session.scalars(select(Certificate).where(Certificate.agent_id == agent_id)).all()
        db.session.expunge_all()
        return {row.name: row for row in found}


def finished(app: Flask, command_id: str) -> Command:
    until(lambda: not read(app, command_id).is_open)
    return read(app, command_id)


# ---- down ----


def test_an_order_carries_its_spec_and_its_secrets_which_the_row_does_not(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED, dns_providers=[CLOUDFLARE])
        with app.app_context(), transaction():
            own = AuthoritySpec("Own", "https://ca.lan/acme", email="a@example.com", eab_kid="k", eab_key=EAB_KEY)
            authority = authorities.create(own, None)
            credential = dns_credentials.create(CredentialSpec("CF", "cloudflare", {"token": "s3cret"}), None)
            wish = {"authority_id": authority.id, "dns_credential_id": credential.id}
        command_id = ask(app, agent_id, "*.lan.example", challenge="dns-01", profile="shortlived", **wish)
        command = wire.expect("command")
        assert command.command_id == command_id
        assert command.run_timeout.seconds == 1800
        spec = command.issue_certificate.spec
        assert (spec.name, list(spec.names), spec.profile) == ("lan.example", ["*.lan.example"], "shortlived")
        assert (spec.challenge, spec.dns.provider) == (pb.CertificateSpec.DNS_01, "cloudflare")
        assert dict(spec.dns.fields) == {"token": "s3cret"}
        assert [(one.label, one.eab_kid, one.eab_hmac_key) for one in spec.authorities] == [("Own", "k", EAB_KEY)]
        assert not command.issue_certificate.host_waits
    stored = str(read(app, command_id).payload)
    assert "s3cret" not in stored
    assert EAB_KEY not in stored


def test_the_spec_is_the_one_that_is_saved_when_the_order_is_sent(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    command_id = ask(app, agent_id)
    with app.app_context(), transaction():
        certificate = certificates.get(commands.get(command_id).certificate_id or 0)
        certificates.update(certificate, CertificateSpec(agent_id, (), key_type="ec-384"), None)
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        assert wire.expect("command").issue_certificate.spec.key_type == "ec-384"


def test_what_was_deleted_meanwhile_is_not_sent_and_says_so(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    command_id = ask(app, agent_id)
    with app.app_context(), transaction():
        certificates.forget(certificates.get(commands.get(command_id).certificate_id or 0))
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        command = finished(app, command_id)
        assert (command.state, command.reason) == (CommandState.FAILED, "FAILED")
        assert "was deleted before the job was sent" in command.error
        assert wire.quiet("command")


def test_a_secret_that_cannot_be_opened_fails_its_own_command_only(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED, dns_providers=[CLOUDFLARE])
        with app.app_context(), transaction():
            credential = DnsCredential(name="Old", provider="cloudflare", sealed_fields="sealed by another key")
            db.session.add(credential)
            db.session.flush()
            wish = {"dns_credential_id": credential.id}
        command_id = ask(app, agent_id, challenge="dns-01", **wish)
        with app.app_context(), transaction():
            reload_id = commands.enqueue(agents.get(agent_id), CommandKind.RELOAD).id
        assert wire.expect("command").command_id == reload_id
        assert "PANEL_SECRET_KEY" in finished(app, command_id).error


def test_an_upload_goes_with_its_key_which_is_then_erased(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    made = pems.leaf()
    with app.app_context(), transaction():
        chain = pems.intermediate().pem
        command_id = certificates.upload(agent_id, made.pem, chain, made.key_pem, "", actor=None).id
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        install = wire.expect("command").install_certificate
        assert install.key_pem.decode() == made.key_pem
        assert install.fullchain_pem.decode() == made.pem + pems.intermediate().pem
        wire.send(command_result=ended(command_id, install_certificate=pb.CertificateResult(certificate=state())))
        assert wire.expect("result_stored").final_stored
    assert read(app, command_id).has_succeeded
    with app.app_context():
        assert db.session.scalars(select(UploadedKey)).all() == []


def test_every_command_about_a_certificate_reaches_the_wire(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED, dns_providers=[CLOUDFLARE])
        wire.send(report=report(state(), state("old.example.com", source=pb.CertificateState.CERTBOT)))
        until(lambda: len(rows(app, agent_id)) == 2)
        with app.app_context(), transaction():
            mine = certificates.list_page(query="app.example.com").items[0]
            mine.authority = authorities.default()
            old = certificates.list_page(query="old.example.com").items[0]
            credential = dns_credentials.create(CredentialSpec("CF", "cloudflare", {"token": "s3cret"}), None)
            certificates.check(CertificateSpec(agent_id, ("new.example.com",)), None)
            dns_credentials.test(credential, "example.com", agents.get(agent_id), None)
            certificates.take_over(old, CertificateSpec(agent_id, ()), None)
            certificates.revoke(mine, None, reason=4)
        seen = {}
        for _ in range(4):
            command = wire.expect("command")
            seen[command.WhichOneof("action")] = command
        assert seen["check_names"].check_names.spec.name == "new.example.com"
        assert dict(seen["check_dns_credential"].check_dns_credential.credential.fields) == {"token": "s3cret"}
        assert seen["take_over_certificate"].take_over_certificate.spec.name == "old.example.com"
        assert seen["revoke_certificate"].revoke_certificate.reason == 4
        revoked = seen["revoke_certificate"].command_id
        wire.send(command_result=ended(revoked, revoke_certificate=pb.CertificateResult(certificate=state())))
        finished(app, revoked)
        with app.app_context(), transaction():
            mine = certificates.list_page(query="app.example.com").items[0]
            certificates.pause(mine, None)
        configured = wire.expect("command")
        assert configured.configure_certificate.spec.paused
        wire.send(command_result=ended(configured.command_id, configure_certificate=pb.CertificateResult()))
        with app.app_context(), transaction():
            certificates.renew(certificates.list_page(query="app.example.com").items[0], None)
        renewed = wire.expect("command")
        assert renewed.renew_certificate.name == "app.example.com"
        failed = {"outcome": pb.CommandResult.FAILED, "error": "No.", "renew_certificate": pb.CertificateResult()}
        wire.send(command_result=ended(renewed.command_id, **failed))
        finished(app, renewed.command_id)
        with app.app_context(), transaction():
            certificates.delete(certificates.list_page(query="app.example.com").items[0], None)
        deleted = wire.expect("command")
        assert deleted.delete_certificate.name == "app.example.com"
        wire.send(command_result=ended(deleted.command_id, delete_certificate=pb.CertificateResult()))
        finished(app, deleted.command_id)
    assert set(rows(app, agent_id)) == {"old.example.com"}


# ---- up ----


def test_one_click_from_order_to_https(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    """The whole story as the panel sees it: the order waits for a host, the report brings the apply."""
    agent_id, identity = ready
    with app.app_context(), transaction():
        host = proxy_hosts.create(ProxyHostSpec(agent_id, ("app.example.com",), "http", "10.0.0.5", 80), None)
        host_id = host.id
        command_id = certificates.request_for_host(host, None).id
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        order = wire.expect("command")
        assert order.issue_certificate.host_waits
        record = pb.OutputLine(seq=1, stage="challenge", level=pb.OutputLine.RECORD, text="_acme-challenge TXT x")
        wire.send(command_output=pb.CommandOutput(command_id=command_id, lines=[record]))
        wire.send(report=report(state()))
        apply = wire.expect("command")
        texts = "".join(content.data.decode() for content in apply.apply_config.bundle.contents)
        assert f"{FOLDER}/live/app.example.com/fullchain.pem" in texts
        result = pb.CertificateResult(certificate=state(), served=True)
        wire.send(command_result=ended(command_id, issue_certificate=result))
        command = finished(app, command_id)
    assert command.result["served"] is True
    assert command.result["certificate"]["serial"] == "0a1b"
    with app.app_context():
        assert commands.outputs(command_id)[0].level == "record"
        assert db.session.get_one(ProxyHost, host_id).has_tls


def test_a_success_without_a_certificate_is_not_believed(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    agent_id, identity = ready
    first, second = ask(app, agent_id, "a.example.com"), ask(app, agent_id, "b.example.com")
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        wire.send(command_result=ended(first, issue_certificate=pb.CertificateResult()))
        wire.send(command_result=ended(second, issue_certificate=pb.CertificateResult(dry_run=True)))
        assert not finished(app, first).outcome_known
        assert finished(app, second).has_succeeded


def test_a_failure_keeps_its_cause_its_findings_and_asks_for_a_yes(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    command_id = ask(app, agent_id)
    at = Timestamp(seconds=1_795_000_000)
    failure = pb.CertificateFailure(
        cause="port_closed", sentence="Port 80 is \x1b[31mclosed.", at=at, url="javascript:alert(1)", names=["a"]
    )
    finding = pb.Finding(level=pb.Finding.WARNING, check="public", subject="a", sentence="It \r leads elsewhere.")
    detail = pb.CertificateResult(
        failure=failure, findings=[finding] * 2000, failed_stage="check", needs_confirmation=True
    )
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        values = {"outcome": pb.CommandResult.FAILED, "error": "Say yes.", "issue_certificate": detail}
        wire.send(command_result=ended(command_id, **values))
        command = finished(app, command_id)
    assert command.result["needs_confirmation"] is True
    assert len(command.result["findings"]) == 500
    assert command.result["findings"][0]["level"] == "warning"
    assert command.result["findings"][0]["sentence"] == "It  leads elsewhere."
    told = command.result["failure"]
    assert (told["cause"], told["sentence"], told["url"]) == ("port_closed", "Port 80 is closed.", "")
    assert told["at"].startswith("2026-11-")
    assert told["retry_at"] is None
    assert rows(app, agent_id)["app.example.com"].last_failure == told


def test_the_answer_of_a_check_is_kept(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        with app.app_context(), transaction():
            command_id = certificates.check(CertificateSpec(agent_id, ("app.example.com",)), None).id
        wire.expect("command")
        findings = [pb.Finding(level=pb.Finding.OK, check="clock", sentence="The clock is right.")]
        wire.send(command_result=ended(command_id, check_names=pb.CheckNamesResult(findings=findings)))
        command = finished(app, command_id)
    assert command.has_succeeded
    assert [one["sentence"] for one in command.result["findings"]] == ["The clock is right."]


def test_providers_of_hello_are_kept_and_capped(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    agent_id, identity = ready
    strange = [pb.DnsProvider(id="../x"), pb.DnsProvider(id=""), pb.DnsProvider(id="a" * 65)]
    many = [pb.DnsProvider(id=f"p{number}", help="\x1b[1m" + "x" * 1500) for number in range(400)]
    fields = [pb.DnsProviderField(name=f"f{number}") for number in range(100)]
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED, dns_providers=[CLOUDFLARE, *strange, pb.DnsProvider(id="q", fields=fields), *many])
        with app.app_context():
            found = agents.get(agent_id).dns_providers
    assert found[0]["fields"] == [{"name": "token", "label": "Token", "help": "", "secret": True, "optional": False}]
    assert len(found) <= 300
    assert all(one["id"].isalnum() and len(one["help"]) <= 1000 for one in found)
    assert len(found[1]["fields"]) == 40


def test_a_hostile_report_is_capped_and_cleaned(app: Flask, live: Config, ready: tuple[str, Identity]) -> None:
    agent_id, identity = ready
    wild = state(
        issuer="\x1b]0;evil\x07" + "x" * 10_000,
        names=["a" * 1000] * 300,
        not_after=Timestamp(seconds=1 << 60),
        serial="f" * 500,
        window_url="javascript:alert(1)",
        failures=4_000_000_000,
        problem="y" * 100_000,
        present=False,
    )
    strange = [state("../../etc"), state("a/b"), state("")]
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        wire.send(report=report(wild, *strange, problem="\x00gone"))
        until(lambda: bool(rows(app, agent_id)))
        found = rows(app, agent_id)
        with app.app_context():
            agent = agents.get(agent_id)
            assert (agent.letsencrypt_dir, agent.certificates_problem) == (FOLDER, "gone")
    assert set(found) == {"app.example.com"}
    row = found["app.example.com"]
    assert (len(row.issuer), len(row.serial), len(row.problem)) == (255, 64, 4096)
    assert (len(row.reported_names), len(row.reported_names[0])) == (200, 253)
    assert (row.not_after, row.window_url) == (None, "")
    assert row.failures == 1_000_000


def test_a_report_has_only_so_many(
    app: Flask, live: Config, ready: tuple[str, Identity], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent_id, identity = ready
    monkeypatch.setattr(certificate_states, "MAX_CERTIFICATES", 20)
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        names = [f"n{number}" for number in range(24)]
        wire.send(report=report(*(pb.CertificateState(name=name, source=pb.CertificateState.ACME) for name in names)))
        until(lambda: len(rows(app, agent_id)) > 0)
        wire.send(report=report(state("last.example.com")))
        until(lambda: "last.example.com" in rows(app, agent_id))
        assert set(rows(app, agent_id)) == {*names[:20], "last.example.com"}


# ---- what the agent begins by itself ----


def begun(command_id: str = BORN, name: str = "app.example.com") -> pb.CommandStarted:
    renew = pb.RenewCertificate(name=name)
    return pb.CommandStarted(
        command_id=command_id, started_at=Timestamp(seconds=1_795_000_000), renew_certificate=renew
    )


def test_a_renewal_of_the_agents_own_is_a_job_like_any_other(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    agent_id, identity = ready
    with Wire(live, identity) as wire:
        wire.greet(revision=APPLIED)
        wire.send(report=report(state()))
        wire.send(command_started=begun())
        line = pb.OutputLine(seq=1, stage="order", level=pb.OutputLine.STAGE, text="Asking for a certificate")
        wire.send(command_output=pb.CommandOutput(command_id=BORN, lines=[line]))
        assert wire.expect("result_stored").output_seq == 1
        wire.send(command_result=ended(BORN, renew_certificate=pb.CertificateResult(certificate=state(serial="0b2c"))))
        assert wire.expect("result_stored").final_stored
    command = read(app, BORN)
    assert (command.kind, command.state, command.created_by_id) == ("renew_certificate", "succeeded", None)
    assert command.certificate_id == rows(app, agent_id)["app.example.com"].id


def test_renewals_while_the_panel_was_away_come_with_hello(
    app: Flask, live: Config, ready: tuple[str, Identity]
) -> None:
    _, identity = ready
    entry = pb.OpenCommand(command_id=BORN, state=pb.OpenCommand.FINISHED, last_output_seq=1, started=begun())
    with Wire(live, identity) as wire:
        welcome = wire.greet(revision=APPLIED, open_commands=(entry,), last_command_seq=0)
        assert list(welcome.forget) == []
        assert [(one.command_id, one.final_stored) for one in welcome.stored] == [(BORN, False)]
        failure = pb.CertificateFailure(cause="caa", sentence="CAA forbids it.")
        values = {"outcome": pb.CommandResult.FAILED, "error": "CAA forbids it."}
        detail = pb.CertificateResult(failure=failure)
        wire.send(command_result=ended(BORN, renew_certificate=detail, **values))
        assert wire.expect("result_stored").final_stored
    command = read(app, BORN)
    assert (command.state, command.error) == (CommandState.FAILED, "CAA forbids it.")
    assert command.result["failure"]["cause"] == "caa"


def test_an_agent_makes_no_job_for_another_and_takes_none_over(
    app: Flask, live: Config, ready: tuple[str, Identity], join: Join
) -> None:
    agent_id, _ = ready
    other_id, other = join("other")
    with app.app_context(), transaction():
        agents.get(other_id).applied_revision = APPLIED
        foreign = commands.enqueue(agents.get(agent_id), CommandKind.RELOAD).id
    entry = pb.OpenCommand(command_id=foreign, state=pb.OpenCommand.RUNNING, started=begun(foreign))
    with Wire(live, other) as wire:
        welcome = wire.greet(revision=APPLIED, open_commands=(entry,))
        assert list(welcome.forget) == [foreign]
        for strange in (begun(foreign), begun("no uuid"), begun(name="../x"), pb.CommandStarted(command_id=BORN)):
            wire.send(command_started=strange)
        wire.send(command_started=begun())
        until(lambda: _exists(app, BORN))
    with app.app_context():
        mine = db.session.scalars(select(Command.id).where(Command.agent_id == other_id)).all()
        assert mine == [BORN]
        assert commands.get(foreign).state == CommandState.QUEUED
        assert db.session.get_one(Agent, agent_id).next_command_seq == 2


def _exists(app: Flask, command_id: str) -> bool:
    with app.app_context():
        return db.session.get(Command, command_id) is not None
