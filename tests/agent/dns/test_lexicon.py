"""dns-lexicon in its own process: fields from its options, PowerDNS's API on the other side, and what it may not do."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.dns.credential import DnsCredential
from agent.dns.provider import Provider
from agent.dns.registry import open_provider, providers
from agent.dns.spec import DnsFailure, TxtRecord
from agent.nginx.guard import Guard
from tests.agent.dns.conftest import Lines
from tests.agent.dns.far_side import Asked, FarSide, Said, far_side

pytestmark = pytest.mark.skipif(importlib.util.find_spec("lexicon") is None, reason="dns-lexicon is not installed")
NAME = "_acme-challenge.example.test"


@dataclass
class PowerDns:
    """PowerDNS's API: whole record sets by PATCH."""

    sets: dict[str, dict[str, Any]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("X-API-Key") != "right-key":
            return Said(401, b"Unauthorized: right-key or wrong-key?")
        if asked.path != "/api/v1/servers/localhost/zones/example.test.":
            return Said(404, {"error": "Not Found"})
        if asked.method == "PATCH":
            for given in asked.data["rrsets"]:
                self.sets[given["name"]] = given
            return Said(204)
        return Said(200, {"name": "example.test.", "kind": "Native", "rrsets": list(self.sets.values())})

    @property
    def texts(self) -> list[str]:
        return [record["content"] for record in self.sets.get(f"{NAME}.", {"records": []})["records"]]


@pytest.fixture
def account() -> PowerDns:
    return PowerDns()


def _open(lines: Lines, guard: Guard, server: str, key: str = "right-key", name: str = "powerdns") -> Provider:
    fields = {"auth_token": key, "pdns_server": server}
    return open_provider(DnsCredential("1", "Test", f"lexicon-{name}", fields), lines.output, guard)


def test_forms_are_made_from_its_options() -> None:
    offers = {info.id: info for info in providers()}
    powerdns = {field.name: field for field in offers["lexicon-powerdns"].fields}
    assert (powerdns["auth_token"].secret, powerdns["pdns_server"].secret) == (True, False)
    assert offers["lexicon-ovh"].fields[3].label == "Consumer key"
    assert not {"lexicon-auto", "lexicon-localzone", "lexicon-oci", "lexicon-cloudflare"} & offers.keys()
    (vultr,) = offers["lexicon-vultr"].fields
    assert (vultr.secret, vultr.optional) == (True, False)
    for info in offers.values():
        assert info.label
        assert info.help
        assert len({field.name for field in info.fields}) == len(info.fields)


def test_values_stand_side_by_side_and_one_is_removed(
    account: PowerDns, side: FarSide, lines: Lines, guard: Guard
) -> None:
    provider = _open(lines, guard, side.url)
    for value in ("apex", "wildcard"):
        provider.add("example.test", TxtRecord(NAME, value))
    assert sorted(account.texts) == ['"apex"', '"wildcard"']
    assert sorted(provider.values("example.test", NAME)) == ["apex", "wildcard"]
    provider.remove("example.test", TxtRecord(NAME, "apex"))
    assert account.texts == ['"wildcard"']


def test_a_wrong_key_is_told_and_never_repeated(side: FarSide, lines: Lines, guard: Guard) -> None:
    with pytest.raises(DnsFailure, match=r"does not accept the credential for zone example.test") as caught:
        _open(lines, guard, side.url, "wrong-key").add("example.test", TxtRecord(NAME, "value"))
    assert caught.value.cause == "dns_credential"
    assert "401" in caught.value.detail
    assert "wrong-key" not in caught.value.detail


def test_another_zone_is_a_failure(side: FarSide, lines: Lines, guard: Guard) -> None:
    with pytest.raises(DnsFailure, match=r"could not change zone strange.test") as caught:
        _open(lines, guard, side.url).add("strange.test", TxtRecord("_acme-challenge.strange.test", "value"))
    assert caught.value.cause == "dns_provider"


def test_a_redirect_to_another_host_takes_no_key_along(side: FarSide, lines: Lines, guard: Guard) -> None:
    with far_side(lambda _: Said(200, {"rrsets": []})) as thief:
        side.first = [Said(302, None, {"Location": f"{thief.url}/api"})]
        with pytest.raises(DnsFailure):
            _open(lines, guard, side.url).add("example.test", TxtRecord(NAME, "value"))
    assert thief.asked == []


def test_nobody_there(lines: Lines, guard: Guard) -> None:
    with pytest.raises(DnsFailure, match="cannot be reached") as caught:
        _open(lines, guard, "http://127.0.0.1:1").add("example.test", TxtRecord(NAME, "value"))
    assert caught.value.cause == "dns_provider"


@pytest.mark.parametrize(
    "server",
    [
        "http://169.254.169.254/latest",
        "http://[fe80::1]/",
        "http://100.100.100.200",
        "gopher://127.0.0.1",
        "/etc/hosts",
    ],
)
def test_servers_and_files_that_are_nobodys_business(lines: Lines, guard: Guard, server: str) -> None:
    with pytest.raises(DnsFailure) as caught:
        _open(lines, guard, server)
    assert caught.value.cause == "dns_credential"


def test_a_value_that_names_a_file_is_refused(tmp_path: Path, lines: Lines, guard: Guard) -> None:
    (tmp_path / "key.pem").write_text("of somebody else")
    fields = {"auth_username": "me", "auth_api_key": str(tmp_path / "key.pem")}
    with pytest.raises(DnsFailure, match="a name of a file cannot be used"):
        open_provider(DnsCredential("1", "Test", "lexicon-transip", fields), lines.output, guard)


def test_one_that_does_not_exist(lines: Lines, guard: Guard) -> None:
    with pytest.raises(DnsFailure, match="does not know the DNS provider"):
        _open(lines, guard, "http://127.0.0.1:1", name="nothing")
