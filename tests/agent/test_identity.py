"""The agent's identity: the dates in its certificate, and requests for the next one.
May import: agent, tests.agent.far_side, cryptography."""

from __future__ import annotations

import dataclasses
import random
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from agent.identity import make_request, read_der
from tests.agent.far_side import FarSide


@pytest.mark.parametrize("days", [1, 30, 40_000])
def test_a_certificate_ends_when_a_library_says_so(days: int) -> None:
    far_side = FarSide()
    identity = far_side.identity(days=days)
    far_side.stop()
    certificate = x509.load_pem_x509_certificate(identity.certificate_pem.encode())
    end, start = certificate.not_valid_after_utc, certificate.not_valid_before_utc
    assert identity.expires_at == end
    assert not identity.is_expired(end - timedelta(seconds=1))
    assert identity.is_expired(end)
    due = start + (end - start) * 2 / 3
    assert not identity.is_due_for_renewal(due - timedelta(seconds=1))
    assert identity.is_due_for_renewal(due)


def test_a_damaged_certificate_is_called_damaged() -> None:
    far_side = FarSide()
    identity = far_side.identity()
    far_side.stop()
    text, choose = identity.certificate_pem, random.Random(1)
    for _ in range(300):
        at = choose.randrange(len(text))
        damaged = dataclasses.replace(identity, certificate_pem=text[:at] + chr(choose.randrange(128)) + text[at + 9 :])
        try:
            damaged.is_expired(datetime.now(UTC))
        except ValueError:
            continue


def test_a_request_is_for_a_new_key_or_for_the_one_at_hand() -> None:
    first = make_request()
    again = make_request(first.key_pem)
    other = make_request()
    assert again.key_pem == first.key_pem != other.key_pem
    for request in (first, again, other):
        key = serialization.load_pem_private_key(request.key_pem.encode(), None)
        assert x509.load_pem_x509_csr(request.csr_pem).public_key() == key.public_key()


def test_what_is_no_certificate_has_no_der() -> None:
    with pytest.raises(ValueError, match="not a certificate"):
        read_der("nothing")
