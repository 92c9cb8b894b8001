"""DigitalOcean's API v2 as it answers: pages by links, scopes, and 404 for domains of others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.dns.provider import HttpProvider
from agent.dns.providers.digitalocean import DigitalOcean
from agent.dns.spec import DnsFailure, TxtRecord
from tests.agent.dns.conftest import Opener
from tests.agent.dns.far_side import Asked, FarSide, Said

NAME = "_acme-challenge.example.test"


@dataclass
class Account:
    """Answers records one a page, so that every list has pages."""

    scopes: frozenset[str] = frozenset({"GET", "POST", "DELETE"})
    records: list[dict[str, Any]] = field(default_factory=list)
    made: int = 0

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("Authorization") != "Bearer dop_v1_right":
            return Said(401, {"id": "Unauthorized", "message": "Unable to authenticate you"})
        if asked.method not in self.scopes:
            return Said(403, {"id": "Forbidden", "message": "You are not authorized to perform this operation"})
        if asked.path == "/v2/domains":
            return self._page(asked, "domains", [{"name": "example.test"}, {"name": "other.test"}])
        if not asked.path.startswith("/v2/domains/example.test/records"):
            return Said(404, {"id": "not_found", "message": "The resource you were accessing could not be found."})
        return getattr(self, f"_{asked.method.lower()}")(asked)  # type: ignore[no-any-return]

    def _get(self, asked: Asked) -> Said:
        found = [r for r in self.records if f"{r['name']}.example.test" == asked.query["name"]]
        return self._page(asked, "domain_records", found)

    def _post(self, asked: Asked) -> Said:
        assert asked.data["ttl"] >= 30
        self.made += 1
        self.records.append({"id": self.made, **asked.data})
        return Said(201, {"domain_record": self.records[-1]})

    def _delete(self, asked: Asked) -> Said:
        record_id = int(asked.path.rsplit("/", 1)[1])
        self.records = [record for record in self.records if record["id"] != record_id]
        return Said(204)

    def _page(self, asked: Asked, key: str, items: list[dict[str, Any]]) -> Said:
        page = int(asked.query["page"])
        links = {"pages": {"next": f"https://api.digitalocean.com{asked.path}?page={page + 1}"}}
        return Said(200, {key: items[page - 1 : page], "links": links if page < len(items) else {}})


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def digitalocean(side: FarSide, open_at: Opener) -> HttpProvider:
    return open_at(DigitalOcean, side.url, token="dop_v1_right")


def test_values_stand_side_by_side_and_one_is_removed(account: Account, digitalocean: HttpProvider) -> None:
    for value in ("apex", "wildcard", "apex"):
        digitalocean.add("example.test", TxtRecord(NAME, value))
    assert [(record["name"], record["data"]) for record in account.records] == [
        ("_acme-challenge", "apex"),
        ("_acme-challenge", "wildcard"),
    ]
    digitalocean.remove("example.test", TxtRecord(NAME, "wildcard"))
    assert digitalocean.values("example.test", NAME) == ["apex"]
    assert digitalocean.zones() == ["example.test", "other.test"]


@pytest.mark.parametrize(
    ("token", "zone", "scopes", "sentence"),
    [
        ("dop_v1_wrong", "example.test", {"GET", "POST"}, "does not accept the credential"),
        ("dop_v1_right", "example.test", {"GET"}, "valid but may not edit zone example.test"),
        ("dop_v1_right", "strange.test", {"GET", "POST"}, "does not reach zone strange.test"),
    ],
)
def test_what_is_wrong_is_told_apart(
    account: Account, side: FarSide, open_at: Opener, token: str, zone: str, scopes: set[str], sentence: str
) -> None:
    account.scopes = frozenset(scopes)
    with pytest.raises(DnsFailure, match=sentence) as caught:
        open_at(DigitalOcean, side.url, token=token).add(zone, TxtRecord(f"_acme-challenge.{zone}", "value"))
    assert "domain:create" in caught.value.next_step
