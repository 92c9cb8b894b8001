"""Hetzner's Cloud API as it answers: record sets, actions that run for a while, locked zones, read-only tokens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from agent.dns.provider import HttpProvider
from agent.dns.providers.hetzner import Hetzner
from agent.dns.spec import DnsFailure, TxtRecord
from tests.agent.dns.conftest import Opener
from tests.agent.dns.far_side import Asked, FarSide, Said

NAME = "_acme-challenge.example.test"
TOKEN = "h" * 64


def _no(status: int, code: str) -> Said:
    return Said(status, {"error": {"code": code, "message": f"it is {code}", "details": None}})


@dataclass
class Project:
    """One project with a zone; changes are seen when their action is done."""

    read_only: bool = False
    fails: bool = False
    sets: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: int = 0

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _no(401, "unauthorized")
        if asked.method != "GET" and self.read_only:
            return _no(403, "token_readonly")
        if asked.path == "/v1/zones":
            page = int(asked.query["page"])
            zones = [{"id": page, "name": ["example.test", "other.test"][page - 1]}]
            return Said(200, {"zones": zones, "meta": {"pagination": {"next_page": 2 if page == 1 else None}}})
        if asked.path.startswith("/v1/actions/"):
            return self._action()
        parts = asked.path.split("/")[3:]
        if parts[0] != "example.test":
            return _no(404, "not_found")
        return Said(200, {"zone": {"name": parts[0]}}) if len(parts) == 1 else self._set(asked, parts[2], parts[4:])

    def _set(self, asked: Asked, name: str, action: list[str]) -> Said:
        if not action:
            return Said(200, {"rrset": self.sets[name]}) if name in self.sets else _no(404, "not_found")
        there = self.sets.get(name, {"ttl": asked.data.get("ttl"), "records": []})
        given = asked.data["records"]
        if action[1] == "add_records":
            there = {**there, "records": [*there["records"], *given]}
        else:
            there = {**there, "records": [record for record in there["records"] if record not in given]}
        self.sets[name] = there
        if not there["records"]:
            del self.sets[name]
        return Said(201, {"action": {"id": 7, "status": "running", "error": None}})

    def _action(self) -> Said:
        self.looks += 1
        if self.fails:
            error = {"code": "internal", "message": "the name servers do not take it"}
            return Said(200, {"action": {"id": 7, "status": "error", "error": error}})
        return Said(200, {"action": {"id": 7, "status": "running" if self.looks == 1 else "success", "error": None}})


@pytest.fixture
def account() -> Project:
    return Project()


@pytest.fixture
def hetzner(side: FarSide, open_at: Opener) -> HttpProvider:
    return open_at(Hetzner, side.url, token=TOKEN)


def test_values_stand_side_by_side_and_one_is_removed(account: Project, hetzner: HttpProvider) -> None:
    for value in ("apex", "wildcard", "apex"):
        hetzner.add("example.test", TxtRecord(NAME, value))
    records = [{"value": '"apex"'}, {"value": '"wildcard"'}]
    assert account.sets == {"_acme-challenge": {"ttl": 60, "records": records}}
    assert account.looks == 3, "an action is looked at until it is done"
    hetzner.remove("example.test", TxtRecord(NAME, "apex"))
    hetzner.remove("example.test", TxtRecord(NAME, "apex"))
    assert hetzner.values("example.test", NAME) == ["wildcard"]
    assert hetzner.zones() == ["example.test", "other.test"]


def test_the_ttl_of_a_set_that_exists_is_left_alone(account: Project, hetzner: HttpProvider, side: FarSide) -> None:
    account.sets["_acme-challenge"] = {"ttl": 3600, "records": [{"value": '"of-somebody-else"'}]}
    hetzner.add("example.test", TxtRecord(NAME, "value"))
    (change,) = [asked for asked in side.asked if asked.method == "POST"]
    assert change.data == {"records": [{"value": '"value"'}]}


def test_a_locked_zone_is_tried_again(account: Project, hetzner: HttpProvider, side: FarSide) -> None:
    side.first = [_no(404, "not_found"), Said(200, {"zone": {}}), Said(423, None, {"Retry-After": "0"})]
    hetzner.add("example.test", TxtRecord(NAME, "value"))
    assert side.calls().count("POST /v1/zones/example.test/rrsets/_acme-challenge/TXT/actions/add_records") == 2


def test_an_action_that_fails_is_told(account: Project, hetzner: HttpProvider) -> None:
    account.fails = True
    with pytest.raises(DnsFailure, match=r"could not change zone example.test") as caught:
        hetzner.add("example.test", TxtRecord(NAME, "value"))
    assert caught.value.detail == "internal: the name servers do not take it"


@pytest.mark.parametrize(
    ("token", "zone", "read_only", "sentence"),
    [
        ("w" * 64, "example.test", False, "does not accept the credential"),
        ("w" * 32, "example.test", False, "looks like one of the old DNS console"),
        (TOKEN, "example.test", True, "may only read: it may not edit zone example.test"),
        (TOKEN, "strange.test", False, "does not reach zone strange.test"),
    ],
)
def test_what_is_wrong_is_told_apart(
    account: Project, side: FarSide, open_at: Opener, token: str, zone: str, read_only: bool, sentence: str
) -> None:
    account.read_only = read_only
    with pytest.raises(DnsFailure, match=sentence) as caught:
        open_at(Hetzner, side.url, token=token).add(zone, TxtRecord(f"_acme-challenge.{zone}", "value"))
    assert caught.value.cause == "dns_credential"
