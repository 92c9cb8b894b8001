"""The panel's own authority: made once, guarded, and honest about damage."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from panel import pki
from panel.models.types import utcnow
from tests.panel.rpc.wire import Identity

AGENT_ID = "7d5f4a0e-0000-4000-8000-000000000001"


def test_the_authority_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    first = pki.open_authority(folder, utcnow())
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "ca-key.pem").stat().st_mode & 0o777 == 0o600
    assert pki.open_authority(folder, utcnow()).pem == first.pem
    assert len(pki.fingerprint(first.pem)) == 64


@pytest.mark.parametrize("missing", ["ca.pem", "ca-key.pem"])
def test_half_an_authority_is_refused(tmp_path: Path, missing: str) -> None:
    folder = tmp_path / "pki"
    pki.open_authority(folder, utcnow())
    (folder / missing).unlink()
    with pytest.raises(pki.PkiError, match=r"incomplete.*backup"):
        pki.open_authority(folder, utcnow())
    assert not (folder / missing).exists()


@pytest.mark.parametrize("damaged", ["ca.pem", "ca-key.pem"])
def test_a_damaged_authority_is_refused(tmp_path: Path, damaged: str) -> None:
    folder = tmp_path / "pki"
    pki.open_authority(folder, utcnow())
    (folder / damaged).write_text("damaged")
    with pytest.raises(pki.PkiError, match=r"damaged.*backup"):
        pki.open_authority(folder, utcnow())


def test_a_key_of_another_authority_is_refused(tmp_path: Path) -> None:
    pki.open_authority(tmp_path / "one", utcnow())
    pki.open_authority(tmp_path / "two", utcnow())
    (tmp_path / "one" / "ca.pem").write_bytes((tmp_path / "two" / "ca.pem").read_bytes())
    with pytest.raises(pki.PkiError, match="do not match"):
        pki.open_authority(tmp_path / "one", utcnow())


def test_the_server_certificate_is_kept_and_renewed_in_time(tmp_path: Path) -> None:
    now = utcnow()
    authority = pki.open_authority(tmp_path, now)
    first = pki.open_server_identity(tmp_path, authority, now)
    assert pki.open_server_identity(tmp_path, authority, now + timedelta(days=59)) == first
    renewed = pki.open_server_identity(tmp_path, authority, now + timedelta(days=61))
    assert renewed != first
    names = x509.load_pem_x509_certificate(renewed.certificate_pem).extensions
    alternative = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert alternative.get_values_for_type(x509.DNSName) == [pki.SERVER_NAME]


@pytest.mark.parametrize("name", ["server.pem", "server-key.pem"])
def test_a_damaged_server_certificate_is_made_again(tmp_path: Path, name: str) -> None:
    authority = pki.open_authority(tmp_path, utcnow())
    pki.open_server_identity(tmp_path, authority, utcnow())
    (tmp_path / name).write_text("damaged")
    identity = pki.open_server_identity(tmp_path, authority, utcnow())
    assert x509.load_pem_x509_certificate(identity.certificate_pem)


def test_an_agents_certificate_names_it_and_lasts_thirty_days(tmp_path: Path) -> None:
    now = utcnow()
    authority = pki.open_authority(tmp_path, now)
    issued = authority.sign_csr(Identity().csr_pem, AGENT_ID, now)
    assert pki.read_identity(issued.pem) == (AGENT_ID, issued.serial)
    assert abs(issued.not_after - now - timedelta(days=30)) < timedelta(seconds=1)
    certificate = x509.load_pem_x509_certificate(issued.pem)
    certificate.verify_directly_issued_by(authority.certificate)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_that_is_no_agents_names_nobody(tmp_path: Path) -> None:
    authority = pki.open_authority(tmp_path, utcnow())
    server = pki.open_server_identity(tmp_path, authority, utcnow())
    for pem in (authority.pem, server.certificate_pem, b"nonsense"):
        with pytest.raises(ValueError, match=r"."):
            pki.read_identity(pem)
