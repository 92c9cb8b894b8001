"""Uploads: what people paste, put in order or refused at its field; and the key, which is kept by nobody."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa
from cryptography.hazmat.primitives.serialization import PrivateFormat
from sqlalchemy import func, select

from panel.errors import Conflict, Invalid
from panel.extensions import db, transaction
from panel.models import Agent, Certificate, CertificateSource, Command, CommandState, Event, ProxyHost, UploadedKey
from panel.models.types import utcnow
from panel.services import agent_specs, agents, certificates, commands, recovery, transitions, uploads
from panel.services.transitions import CommandOutcome
from tests.panel.services import pems
from tests.panel.services.certifying import certificate_of, end, report, state

pytestmark = pytest.mark.usefixtures("context")


def parse(certificate: str, chain: str, key: str, passphrase: str = "") -> uploads.Upload:
    return uploads.parse(certificate, chain, key, passphrase, utcnow())


def subjects(upload: uploads.Upload) -> list[str]:
    found = x509.load_pem_x509_certificates(upload.fullchain_pem.encode())
    return [one.subject.rfc4514_string().removeprefix("CN=") for one in found]


def refusal(*values: str) -> Invalid:
    with pytest.raises(Invalid) as caught:
        parse(*values)
    assert caught.value.message.endswith(".")
    return caught.value


LEAF, MIDDLE, SECOND, ROOT = pems.leaf(issuer=pems.second()), pems.intermediate(), pems.second(), pems.root()


@pytest.mark.parametrize(
    ("certificate", "chain"),
    [
        (LEAF.pem, SECOND.pem + MIDDLE.pem),
        (LEAF.pem, MIDDLE.pem + SECOND.pem),
        (LEAF.pem, ROOT.pem + MIDDLE.pem + SECOND.pem),
        (LEAF.pem + SECOND.pem + MIDDLE.pem, ""),
        (MIDDLE.pem + LEAF.pem, SECOND.pem),
        (SECOND.pem, MIDDLE.pem + LEAF.pem),
        (LEAF.pem, SECOND.pem + SECOND.pem + LEAF.pem + MIDDLE.pem),
        ("Bag Attributes\n" + LEAF.pem.replace("\n", "\r\n"), "subject=CN\n" + SECOND.pem + "\n\n" + MIDDLE.pem),
    ],
)
def test_whatever_the_order_the_leaf_comes_first_and_each_is_followed_by_its_issuer(
    certificate: str, chain: str
) -> None:
    upload = parse(certificate, chain, LEAF.key_pem)
    assert subjects(upload) == ["app.example.com", "Second intermediate", "Test intermediate"]
    assert upload.warnings == ()
    assert upload.names == ("app.example.com",)
    assert upload.not_after == LEAF.certificate.not_valid_after_utc


@pytest.mark.parametrize("layout", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
@pytest.mark.parametrize("bits", [0, 2048])
def test_a_key_of_any_layout_becomes_plain_pkcs8(layout: PrivateFormat, passphrase: str, bits: int) -> None:
    made = pems.leaf(key=pems.rsa_key(bits) if bits else None)
    upload = parse(made.pem, MIDDLE.pem, made.write_key(layout, passphrase), passphrase)
    assert upload.key_pem == made.key_pem
    assert upload.key_pem not in repr(upload)


def test_an_encrypted_key_needs_its_passphrase_and_no_sentence_tells_it() -> None:
    key = LEAF.write_key(PrivateFormat.PKCS8, "open sesame")
    assert refusal(LEAF.pem, MIDDLE.pem, key).field == "passphrase"
    wrong = refusal(LEAF.pem, MIDDLE.pem, key, "open barley")
    assert wrong.field == "passphrase"
    assert "barley" not in wrong.message


def test_a_key_stretched_for_minutes_is_not_opened() -> None:
    head = "30820113304e06092a864886f70d01050d3041302906092a864886f70d01050c301c0408"
    body = bytes.fromhex(head) + b"saltsalt" + bytes.fromhex("02047fffffff300c06082a864886f70d02090500") + b"x" * 200
    kind, text = "ENCRYPTED PRIVATE KEY", base64.encodebytes(body).decode()
    pem = f"-----BEGIN {kind}-----\n{text}-----END {kind}-----"
    assert "stretched" in refusal(LEAF.pem, "", pem, "x").message


@pytest.mark.parametrize(
    ("field", "certificate", "chain", "key"),
    [
        ("certificate_pem", "", "", LEAF.key_pem),
        ("certificate_pem", "hello", "", LEAF.key_pem),
        ("certificate_pem", LEAF.key_pem, "", LEAF.key_pem),
        ("certificate_pem", LEAF.pem + LEAF.key_pem, "", LEAF.key_pem),
        ("certificate_pem", "x" * (10 << 20), "", LEAF.key_pem),
        ("certificate_pem", LEAF.pem.replace("MII", "AAA"), "", LEAF.key_pem),
        ("chain_pem", LEAF.pem, LEAF.key_pem, LEAF.key_pem),
        ("chain_pem", LEAF.pem, "x" * (10 << 20), LEAF.key_pem),
        ("chain_pem", LEAF.pem, "no pem", LEAF.key_pem),
        ("chain_pem", LEAF.pem, SECOND.pem + pems.make("Stranger", is_ca=True).pem, LEAF.key_pem),
        ("chain_pem", LEAF.pem, SECOND.pem * 20, LEAF.key_pem),
        ("key_pem", LEAF.pem, "", ""),
        ("key_pem", LEAF.pem, "", LEAF.pem),
        ("key_pem", LEAF.pem, "", LEAF.key_pem * 2),
        ("key_pem", LEAF.pem, "", MIDDLE.key_pem),
        ("key_pem", LEAF.pem, "", LEAF.key_pem.replace("MIG", "AAA")),
        ("key_pem", LEAF.pem, "", LEAF.key_pem.partition("-----END")[0]),
        ("key_pem", LEAF.pem, "", "x" * (10 << 20)),
    ],
)
def test_what_cannot_be_used_is_refused_at_its_field(field: str, certificate: str, chain: str, key: str) -> None:
    told = refusal(certificate, chain, key)
    assert told.field == field
    assert len(told.message) < 300
    body = LEAF.key_pem.splitlines()[1]
    assert body not in told.message
    assert body not in repr(told.__cause__)


def test_keys_that_nginx_does_not_load_are_refused() -> None:
    weak = pems.leaf(key=pems.rsa_key(1024))
    assert "1024 bits" in refusal(weak.pem, "", weak.key_pem).message
    other = dsa.generate_private_key(1024).private_bytes(
        serialization.Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assert refusal(LEAF.pem, "", other.decode()).field == "key_pem"


def test_one_without_alternative_names_is_refused() -> None:
    made = pems.make("app.example.com", issuer=MIDDLE)
    assert "no alternative names" in refusal(made.pem, "", made.key_pem).message


def test_what_works_hardly_is_a_warning() -> None:
    now = utcnow()
    over = pems.leaf(ends=now - timedelta(days=1))
    early = pems.leaf(begins=now + timedelta(days=1))
    own = pems.make("app.example.com", "app.example.com")
    assert "ended on" in parse(over.pem, MIDDLE.pem, over.key_pem).warnings[0]
    assert "begins on" in parse(early.pem, MIDDLE.pem, early.key_pem).warnings[0]
    assert "signed by itself" in parse(own.pem, "", own.key_pem).warnings[0]
    assert "without the certificates of its issuer" in parse(LEAF.pem, "", LEAF.key_pem).warnings[0]


# ---- sent, kept, erased ----


def upload(agent: Agent, made: pems.Made = LEAF, **values: Any) -> Command:
    with transaction():
        return certificates.upload(agent.id, made.pem, MIDDLE.pem + SECOND.pem, made.key_pem, "", actor=None, **values)


def keys() -> int:
    return db.session.scalar(select(func.count()).select_from(UploadedKey)) or 0


def everything_written() -> str:
    rows = [f"{row.payload}{row.result}{row.error}" for row in db.session.scalars(select(Command))]
    rows += [f"{row.before}{row.after}" for row in db.session.scalars(select(Event))]
    return "".join([*rows, *(row.sealed_key for row in db.session.scalars(select(UploadedKey)))])


def test_the_key_goes_to_the_agent_and_stands_nowhere_in_the_clear(agent: Agent) -> None:
    command = upload(agent)
    body = LEAF.key_pem.splitlines()[1]
    assert body not in everything_written()
    sent = agent_specs.upload_for(command)
    assert sent.key_pem == LEAF.key_pem
    assert body not in repr(sent)
    assert sent.fullchain_pem.startswith(LEAF.pem)
    assert (sent.name, sent.host_waits) == ("app.example.com", False)
    certificate = certificate_of(command)
    assert (certificate.source, certificate.domain_names) == (CertificateSource.UPLOAD, ["app.example.com"])


ENDS: dict[str, Callable[[Command], object]] = {
    "stored": lambda command: transitions.finish(command, CommandOutcome(CommandState.SUCCEEDED), utcnow()),
    "failed": lambda command: transitions.finish(command, CommandOutcome(CommandState.FAILED), utcnow()),
    "cancelled": lambda command: commands.cancel(command, None),
    "expired": lambda _command: recovery.expire_due(utcnow() + timedelta(hours=25)),
    "revoked": lambda command: agents.revoke(command.agent, None),
}


@pytest.mark.parametrize("how", ENDS)
def test_however_the_job_ends_the_key_is_erased(agent: Agent, how: str) -> None:
    command = upload(agent)
    assert keys() == 1
    with transaction():
        ENDS[how](command)
    assert not command.is_open
    assert keys() == 0


def test_a_key_is_kept_while_its_job_is_sent_again(agent: Agent) -> None:
    command = upload(agent)
    with transaction():
        transitions.change(command.id, (CommandState.QUEUED,), state=CommandState.SENT)
    with transaction():
        recovery.recover(agent, [], utcnow())
    assert (command.state, keys()) == ("queued", 1)


def test_an_upload_is_not_retried_without_its_key(agent: Agent) -> None:
    command = upload(agent)
    end(command, error="The disk is full.")
    with pytest.raises(Conflict, match="Upload the certificate and its key again"):
        commands.retry(command, None)
    with pytest.raises(Conflict, match="Upload the certificate and its key again"):
        certificates.retry(command, None)
    with pytest.raises(Conflict, match="not there any more"):
        agent_specs.upload_for(command)


def installed(agent: Agent, *names: str) -> Certificate:
    command = upload(agent, pems.leaf(*names, issuer=SECOND))
    certificate = certificate_of(command)
    report(agent, state(certificate.name, source=CertificateSource.UPLOAD, names=certificate.domain_names))
    end(command)
    return certificate


def test_a_successor_takes_its_place_and_all_hosts_stay(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate, host = installed(agent, "app.example.com"), save()
    with transaction():
        certificates.link(host, certificate, None)
    command = upload(agent, pems.leaf("app.example.com", "b.example.com", issuer=SECOND), replaces=certificate)
    assert command.certificate_id == certificate.id
    assert agent_specs.upload_for(command).host_waits
    assert host.certificate is certificate
    with pytest.raises(Conflict, match="under way"):
        upload(agent, replaces=certificate)


def test_a_successor_must_be_for_the_hosts_that_use_it(agent: Agent, save: Callable[..., ProxyHost]) -> None:
    certificate, host = installed(agent, "app.example.com"), save()
    with transaction():
        certificates.link(host, certificate, None)
    with pytest.raises(Invalid, match=r"app\.example\.com") as told:
        upload(agent, pems.leaf("b.example.com", issuer=SECOND), replaces=certificate)
    assert told.value.field == "certificate_pem"
    assert keys() == 0


def test_only_an_upload_of_the_same_agent_is_replaced(agent: Agent) -> None:
    report(agent, state())
    renewed = db.session.scalar(select(Certificate))
    assert renewed is not None
    with pytest.raises(Conflict, match="renewed by itself"):
        upload(agent, replaces=renewed)
    other = Agent(id="7d5f4a0e-0000-4000-8000-000000000002", name="other", joined_at=utcnow())
    db.session.add(other)
    db.session.commit()
    with pytest.raises(Conflict, match="lies on the agent other"):
        upload(agent, replaces=installed(other))


def test_a_strange_name_makes_a_harmless_folder(agent: Agent) -> None:
    command = upload(agent, pems.leaf("../../etc/passwd", issuer=SECOND))
    assert certificate_of(command).name == "etc-passwd"


def test_warnings_go_with_the_job(agent: Agent) -> None:
    command = upload(agent, pems.leaf(issuer=SECOND, ends=utcnow() - timedelta(days=3)))
    assert [warning.partition(" on ")[0] for warning in command.payload["warnings"]] == ["It ended"]
