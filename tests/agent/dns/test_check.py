"""The check of a credential, end to end: one sentence that says what is so, and nothing stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.dns.check import check
from agent.dns.credential import DnsCredential
from agent.dns.spec import DnsSettings
from tests.agent.dns.servers import NameServer, bind, free_port, needs_knot, needs_named, zone_text


@needs_knot
@pytest.mark.parametrize(
    ("zone", "sentence", "name"),
    [
        ("example.test", "can edit zone example.test.", "_acme-challenge.checked.example.test"),
        ("*.Sub.example.test.", "can edit zone sub.example.test.", "_acme-challenge.sub.example.test"),
        (
            "delegated.example.test",
            "can edit zone other.test (_acme-challenge.delegated",
            "delegated-challenge.other.test",
        ),
    ],
)
def test_a_right_credential(world: NameServer, zone: str, sentence: str, name: str) -> None:
    found = check(world.credential(), zone, resolver=world.settings)
    assert found.ok, found
    assert sentence in found.sentence
    assert not any(text.startswith("waypost-check") for text in world.texts(name))


@needs_knot
@pytest.mark.parametrize(
    ("zone", "fields", "sentence"),
    [
        ("example.test", {"secret": "d3Jvbmc="}, "does not accept the key waypost. Correct the name"),
        ("example.test", {"secret": "not base64!"}, "The TSIG key cannot be read"),
        ("example.test", {"algorithm": "rot13"}, "Algorithm: use one of"),
        ("example.test", {"server": ""}, "Server is missing"),
        ("example.test", {"server": "ns1:port"}, "Server: use a name or an address"),
        ("example.test", {"server": "169.254.169.254:80"}, "does not speak to 169.254.169.254"),
        ("example.test", {"key_name": "a\r\nb"}, "Key name has a line end"),
        ("example.test", {"secret": "A" * 20_000}, "Key is longer than 16384"),
        ("nowhere.invalid", {}, "No name server knows a zone for _acme-challenge.nowhere.invalid"),
        ("not a name", {}, "Zone: use a domain such as example.com"),
        ("", {}, "Name a zone"),
    ],
)
def test_a_wrong_one(world: NameServer, zone: str, fields: dict[str, str], sentence: str) -> None:
    found = check(world.credential(**fields), zone, resolver=world.settings)
    assert not found.ok
    assert sentence in found.sentence
    assert "AAAA" not in found.sentence


@needs_knot
def test_a_server_that_does_not_answer(world: NameServer) -> None:
    dead = f"127.0.0.1:{free_port('127.0.0.1')}"
    found = check(world.credential(server=dead), "example.test", resolver=world.settings)
    assert not found.ok
    assert f"{dead} does not answer" in found.sentence


@needs_knot
def test_time_is_limited(world: NameServer) -> None:
    found = check(world.credential(), "example.test", resolver=world.settings, seconds=0)
    assert (found.ok, found.sentence) == (False, "The DNS provider did not answer in time.")


@needs_named
def test_a_key_without_rights_is_told_from_a_wrong_key(tmp_path: Path) -> None:
    with bind(tmp_path, {"example.test": zone_text("example.test")}) as server:
        refused = check(server.credential(key_name="reader"), "example.test", resolver=server.settings)
        unknown = check(server.credential(key_name="nobody"), "example.test", resolver=server.settings)
        right = check(server.credential(), "example.test", resolver=server.settings)
        other = check(server.credential(zone="test"), "example.test", resolver=server.settings)
    assert "knows the key reader, but it may not change zone example.test. Allow the key" in refused.sentence
    assert "does not accept the key nobody" in unknown.sentence
    assert right.ok
    assert "takes no updates of zone test" in other.sentence


def test_an_unknown_provider() -> None:
    found = check(DnsCredential("1", "Old", "gone", {}), "example.test", resolver=DnsSettings("127.0.0.1:1"))
    assert (found.ok, "does not know the DNS provider “gone”" in found.sentence) == (False, True)
