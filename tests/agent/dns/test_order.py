"""Orders by DNS-01 from a real authority that asks a real name server, to which the agent writes by RFC 2136."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.acme.order import Authorities, OrderRequest
from agent.acme.spec import AcmeFailure, CertificateSpec, Challenge
from agent.dns.credential import DnsCredential
from agent.nginx.guard import Guard
from tests.agent.acme.ordering import Log, authority_of, names_of, new_key
from tests.agent.dns.conftest import Lines
from tests.agent.dns.servers import NameServer, needs_knot
from tests.pebble import Pebble, running_pebble

pytestmark = needs_knot


@pytest.fixture(scope="module")
def pebble(world: NameServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    """An authority whose world is that Knot, which follows CNAMEs within a zone only."""
    with running_pebble(tmp_path_factory.mktemp("pebble"), dns_server=world.settings.server) as pebble:
        yield pebble


def _request(pebble: Pebble, credential: DnsCredential, *names: str) -> OrderRequest:
    authority = authority_of(pebble)
    spec = CertificateSpec("order", names, (authority,), challenge=Challenge.DNS_01, dns=credential)
    return OrderRequest(spec, authority, new_key())


def test_a_name_its_wildcard_and_a_delegated_name_in_one_certificate(
    pebble: Pebble, world: NameServer, lines: Lines, guard: Guard, tmp_path: Path
) -> None:
    names = ("sub.example.test", "*.sub.example.test", "near.example.test")
    authorities = Authorities(tmp_path / "acme", tmp_path / "webroot", "waypost-tests")
    began = time.monotonic()
    issued = authorities.obtain(_request(pebble, world.credential(), *names), Log(), lines.output, guard)
    assert names_of(issued) == set(names)
    assert time.monotonic() - began < 20, "no fixed wait"
    assert "is delegated to challenge-of-near.example.test" in lines.text
    assert not world.texts("_acme-challenge.sub.example.test") | world.texts("challenge-of-near.example.test")


def test_a_key_without_rights_is_told_before_the_authority_is_asked_to_look(
    pebble: Pebble, world: NameServer, lines: Lines, guard: Guard, tmp_path: Path
) -> None:
    authorities = Authorities(tmp_path / "acme", tmp_path / "webroot", "waypost-tests")
    request = _request(pebble, world.credential(secret="d3Jvbmc="), "*.example.test")
    with pytest.raises(AcmeFailure) as caught:
        authorities.obtain(request, Log(), lines.output, guard)
    assert caught.value.failure.cause == "dns_credential"
    assert "does not accept the key waypost" in caught.value.failure.sentence
    assert caught.value.stage == "challenge"
    assert "d3Jvbmc=" not in f"{caught.value.failure} {lines.text}"
