"""Joining: one token, one machine, one certificate."""

from __future__ import annotations

from datetime import timedelta

import gevent
import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from flask import Flask
from sqlalchemy import select, text, update

from panel import pki
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import AgentCertificate, OneTimeToken
from panel.models.types import utcnow
from panel.services import agents
from protos import command_stream_pb2 as pb
from protos import command_stream_pb2_grpc
from tests.panel.rpc.wire import OPTIONS, Identity, enroll, make_csr


def refusal(config: Config, token: str, identity: Identity) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        enroll(config, token, identity)
    return caught.value.code(), caught.value.details() or ""


def test_a_token_gives_a_client_certificate_for_the_agents_own_key(app: Flask, live: Config, token: str) -> None:
    identity = Identity()
    reply = enroll(live, token, identity)
    certificate = x509.load_pem_x509_certificate(reply.certificate_pem)
    assert reply.agent_name == "edge"
    assert reply.stream_port == live.stream_port
    assert pki.read_identity(reply.certificate_pem)[0] == reply.agent_id
    assert certificate.public_key() == identity.key.public_key()
    usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usages) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert "whoever" not in certificate.subject.rfc4514_string()
    with app.app_context():
        agent = agents.get(reply.agent_id)
        assert agent.has_joined
        assert agent.hostname == "test-machine"


def test_a_token_carries_the_fingerprint_of_the_ca(live: Config, token: str) -> None:
    version, _, fingerprint = token.split(".")
    assert version == "wp1"
    assert fingerprint == pki.fingerprint(pki.read_ca_pem(live.pki_dir))


def test_only_the_hash_of_a_token_is_stored(app: Flask, token: str) -> None:
    with app.app_context():
        stored = [row.secret_sha256 for row in db.session.scalars(select(OneTimeToken))]
    assert token.split(".")[1] not in stored


def test_the_same_key_may_repeat_a_join_whose_reply_was_lost(app: Flask, live: Config, token: str) -> None:
    identity = Identity()
    first, second = enroll(live, token, identity), enroll(live, token, identity)
    assert first.agent_id == second.agent_id
    with app.app_context():
        certificates = db.session.scalars(select(AgentCertificate)).all()
        assert [certificate.revoked_at for certificate in certificates] == [None, None]


def test_another_key_is_refused_once_the_token_is_used(live: Config, token: str) -> None:
    enroll(live, token, Identity())
    code, sentence = refusal(live, token, Identity())
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "used" in sentence


def test_an_expired_token_is_refused(app: Flask, live: Config, token: str) -> None:
    with app.app_context(), transaction():
        db.session.execute(update(OneTimeToken).values(expires_at=utcnow() - timedelta(seconds=1)))
    code, sentence = refusal(live, token, Identity())
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "expired" in sentence


def test_a_guessed_token_is_refused(live: Config) -> None:
    assert refusal(live, "wp1.guessed.0", Identity())[0] is grpc.StatusCode.PERMISSION_DENIED


def test_of_two_machines_racing_with_one_token_one_joins(app: Flask, live: Config, token: str) -> None:
    def attempt() -> bool:
        try:
            enroll(live, token, Identity())
        except grpc.RpcError:
            return False
        return True

    racers = [gevent.spawn(attempt) for _ in range(4)]
    gevent.joinall(racers, timeout=20)
    assert [racer.value for racer in racers].count(True) == 1


def test_a_newer_token_replaces_the_older_one(app: Flask, live: Config, token: str) -> None:
    with app.app_context(), transaction():
        newer = agents.new_join_token(agents.find_by_name("edge"), None, live)
    assert refusal(live, token, Identity())[0] is grpc.StatusCode.PERMISSION_DENIED
    assert enroll(live, newer, Identity()).agent_name == "edge"


def test_a_new_join_ends_the_certificates_of_the_old_one(app: Flask, live: Config, token: str) -> None:
    enroll(live, token, Identity())
    with app.app_context(), transaction():
        newer = agents.new_join_token(agents.find_by_name("edge"), None, live)
    enroll(live, newer, Identity())
    with app.app_context():
        ends = [row.revoked_at for row in db.session.scalars(select(AgentCertificate))]
        assert sum(end is None for end in ends) == 1


def test_a_token_used_before_a_revocation_does_not_let_the_agent_back_in(app: Flask, live: Config, token: str) -> None:
    identity = Identity()
    enroll(live, token, identity)
    with app.app_context(), transaction():
        agents.revoke(agents.find_by_name("edge"), None)
    assert refusal(live, token, identity)[0] is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    "csr",
    [
        b"",
        b"-----BEGIN CERTIFICATE REQUEST-----\nnonsense\n-----END CERTIFICATE REQUEST-----\n",
        make_csr(rsa.generate_private_key(65537, 2048)),
        make_csr(ec.generate_private_key(ec.SECP384R1())),
        make_csr(ec.generate_private_key(ec.SECP256R1())).replace(b"M", b"N", 1),
        b"x" * 20_000,
    ],
    ids=["empty", "nonsense", "rsa", "p384", "damaged", "huge"],
)
def test_a_bad_request_is_refused_and_leaves_the_token_unused(app: Flask, live: Config, token: str, csr: bytes) -> None:
    credentials = grpc.ssl_channel_credentials(pki.read_ca_pem(live.pki_dir))
    with grpc.secure_channel(f"127.0.0.1:{live.enroll_port}", credentials, OPTIONS) as channel:
        stub = command_stream_pb2_grpc.EnrollmentStub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Enroll(pb.EnrollRequest(token=token.split(".")[1], csr_pem=csr), timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    with app.app_context():
        assert db.session.scalars(select(OneTimeToken.used_at)).all().count(None) >= 1
        assert not agents.find_by_name("edge").has_joined


def test_a_fault_of_the_panel_is_not_explained_to_strangers(app: Flask, live: Config, token: str) -> None:
    with app.app_context():
        db.session.execute(text("DROP TABLE one_time_token"))
        db.session.commit()
    code, sentence = refusal(live, token, Identity())
    assert code is grpc.StatusCode.UNAVAILABLE
    assert sentence == "The panel has a problem of its own. Try again."
