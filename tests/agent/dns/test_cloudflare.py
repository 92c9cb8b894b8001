"""Cloudflare's API v4 as it answers: envelopes, pages, scopes, and errors of its own numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.dns.lookup import Lookup
from agent.dns.probe import check_provider
from agent.dns.provider import HttpProvider
from agent.dns.providers.cloudflare import Cloudflare
from agent.dns.spec import DnsFailure, TxtRecord
from tests.agent.dns.conftest import Opener
from tests.agent.dns.far_side import Asked, FarSide, Said
from tests.agent.dns.servers import NameServer, needs_knot

TOKEN = "cf-token-0123456789"
NAME = "_acme-challenge.example.test"


def _ok(result: Any, pages: int = 1) -> Said:
    return Said(200, {"success": True, "errors": [], "result": result, "result_info": {"total_pages": pages}})


def _no(status: int, code: int, message: str) -> Said:
    return Said(status, {"success": False, "errors": [{"code": code, "message": message}], "result": None})


@dataclass
class Account:
    """One account with 51 zones; the token may be limited."""

    may_edit: bool = True
    may_read: bool = True
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    zones: list[str] = field(default_factory=lambda: [f"zone{n}.test" for n in range(50)] + ["example.test"])

    def answer(self, asked: Asked) -> Said:
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        if " " in token or not token.startswith("cf-"):
            return _no(400, 6003, "Invalid request headers")
        if token != TOKEN:
            return _no(403, 9109, "Invalid access token")
        if asked.path == "/zones":
            return self._zones(asked)
        if not self.may_edit:
            return _no(403, 10000, "Authentication error")
        return self._records(asked)

    def _zones(self, asked: Asked) -> Said:
        names = [zone for zone in self.zones if self.may_read and asked.query.get("name", zone) == zone]
        page, size = int(asked.query["page"]), int(asked.query["per_page"])
        found = [{"id": f"id-{name}", "name": name} for name in names[(page - 1) * size : page * size]]
        return _ok(found, -(-len(names) // size))

    def _records(self, asked: Asked) -> Said:
        head, _, record_id = asked.path.partition("/dns_records")
        assert head == "/zones/id-example.test"
        if asked.method == "GET":
            return _ok([record for record in self.records.values() if record["name"] == asked.query["name"]])
        if asked.method == "DELETE":
            return _ok(self.records.pop(record_id[1:])) if record_id[1:] in self.records else _no(404, 81044, "gone")
        if any(record["content"] == asked.data["content"] for record in self.records.values()):
            return _no(400, 81058, "An identical record already exists.")
        new = {**asked.data, "id": f"r{len(asked.data['content'])}-{len(self.records)}"}
        self.records[new["id"]] = new
        return _ok(new)


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def cloudflare(side: FarSide, open_at: Opener) -> HttpProvider:
    return open_at(Cloudflare, side.url, token=f" {TOKEN}\n")


def test_values_stand_side_by_side_and_one_is_removed(account: Account, cloudflare: HttpProvider) -> None:
    for value in ("apex", "wildcard", "apex"):
        cloudflare.add("example.test", TxtRecord(NAME, value))
    assert cloudflare.values("example.test", NAME) == ["apex", "wildcard"]
    assert {record["content"] for record in account.records.values()} == {'"apex"', '"wildcard"'}
    assert {(record["type"], record["ttl"]) for record in account.records.values()} == {("TXT", 60)}
    cloudflare.remove("example.test", TxtRecord(NAME, "apex"))
    cloudflare.remove("example.test", TxtRecord(NAME, "apex"))
    assert cloudflare.values("example.test", NAME) == ["wildcard"]


def test_an_identical_record_is_as_good(account: Account, cloudflare: HttpProvider) -> None:
    account.records["x"] = {"id": "x", "name": "another.example.test", "type": "TXT", "content": '"value"'}
    cloudflare.add("example.test", TxtRecord(NAME, "value"))


def test_all_pages_of_zones_are_read(cloudflare: HttpProvider) -> None:
    assert len(cloudflare.zones()) == 51
    assert cloudflare.zones()[-1] == "example.test"


@pytest.mark.parametrize(("token", "status"), [("cf-another", 403), ("not a token", 400)])
def test_a_wrong_token(side: FarSide, open_at: Opener, token: str, status: int) -> None:
    with pytest.raises(DnsFailure, match="Cloudflare does not accept the token") as caught:
        open_at(Cloudflare, side.url, token=token).add("example.test", TxtRecord(NAME, "value"))
    assert caught.value.cause == "dns_credential"
    assert token not in caught.value.detail


def test_a_token_that_may_only_read(account: Account, cloudflare: HttpProvider) -> None:
    account.may_edit = False
    with pytest.raises(DnsFailure, match=r"valid but may not edit zone example.test") as caught:
        cloudflare.add("example.test", TxtRecord(NAME, "value"))
    assert "Zone / DNS / Edit" in caught.value.next_step


def test_a_token_for_other_zones(account: Account, cloudflare: HttpProvider) -> None:
    account.may_read = False
    with pytest.raises(DnsFailure, match=r"does not reach zone example.test"):
        cloudflare.add("example.test", TxtRecord(NAME, "value"))


def test_a_domain_that_is_not_registered_ends_at_its_parent(cloudflare: HttpProvider) -> None:
    with pytest.raises(DnsFailure, match="No zone of your own was found, only test") as caught:
        cloudflare.add("test", TxtRecord("_acme-challenge.typo.test", "value"))
    assert caught.value.cause == "dns_broken"


@needs_knot
def test_the_check_writes_reads_and_removes(account: Account, cloudflare: HttpProvider, world: NameServer) -> None:
    found = check_provider(cloudflare, "example.test", Lookup(world.settings))
    assert (found.ok, found.sentence) == (True, "Cloudflare can edit zone example.test.")
    assert "example.test" in found.zones
    assert account.records == {}
