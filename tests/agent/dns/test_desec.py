"""deSEC's API as it answers: whole record sets, smallest TTLs, pages by cursor, tokens with policies."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from agent.dns.provider import HttpProvider
from agent.dns.providers.desec import Desec
from agent.dns.spec import DnsFailure, TxtRecord
from tests.agent.dns.conftest import Opener
from tests.agent.dns.far_side import Asked, FarSide, Said

NAME = "_acme-challenge.example.test"


@dataclass
class Account:
    """One account with one zone; a policy may forbid to write."""

    may_write: bool = True
    sets: dict[str, list[str]] = field(default_factory=dict)

    def answer(self, asked: Asked) -> Said:
        if asked.headers.get("Authorization") != "Token right":
            return Said(401, {"detail": "Invalid token."})
        if asked.path == "/domains/":
            more = {
                "Link": '<https://desec.io/api/v1/domains/?cursor=>; rel="first", '
                '<https://desec.io/api/v1/domains/?cursor=%3Anext>; rel="next"'
            }
            is_first = asked.query["cursor"] == ""
            name = "example.test" if is_first else "other.test"
            assert is_first or asked.query["cursor"] == ":next"
            return Said(200, [{"name": name, "minimum_ttl": 3600}], more if is_first else {})
        if not asked.path.startswith("/domains/example.test/"):
            return Said(404, {"detail": "Not found."})
        rest = asked.path.removeprefix("/domains/example.test/")
        if rest == "":
            return Said(200, {"name": "example.test", "minimum_ttl": 3600})
        return self._write(asked) if asked.method == "PATCH" else self._read(rest.split("/")[1])

    def _read(self, subname: str) -> Said:
        if subname not in self.sets:
            return Said(404, {"detail": "Not found."})
        return Said(200, {"subname": subname, "type": "TXT", "records": self.sets[subname]})

    def _write(self, asked: Asked) -> Said:
        if not self.may_write:
            return Said(403, {"detail": "Insufficient token permissions."})
        (item,) = asked.data
        if item["ttl"] < 3600:
            return Said(400, [{"ttl": ["Ensure this value is greater than or equal to 3600."]}])
        self.sets[item["subname"]] = item["records"]
        if not item["records"]:
            del self.sets[item["subname"]]
        return Said(200, asked.data)


@pytest.fixture
def account() -> Account:
    return Account()


@pytest.fixture
def desec(side: FarSide, open_at: Opener) -> HttpProvider:
    return open_at(Desec, side.url, token="right")


def test_values_stand_side_by_side_and_one_is_removed(account: Account, desec: HttpProvider) -> None:
    account.sets["_acme-challenge"] = ['"of-somebody-else"']
    for value in ("apex", "wildcard", "apex"):
        desec.add("example.test", TxtRecord(NAME, value))
    assert account.sets == {"_acme-challenge": ['"of-somebody-else"', '"apex"', '"wildcard"']}
    for value in ("apex", "wildcard"):
        desec.remove("example.test", TxtRecord(NAME, value))
    assert account.sets == {"_acme-challenge": ['"of-somebody-else"']}
    assert desec.zones() == ["example.test", "other.test"]


def test_the_last_value_takes_the_set_along(account: Account, desec: HttpProvider) -> None:
    desec.add("example.test", TxtRecord(NAME, "value"))
    desec.remove("example.test", TxtRecord(NAME, "value"))
    assert account.sets == {}
    assert desec.values("example.test", NAME) == []


@pytest.mark.parametrize(
    ("token", "zone", "may_write", "sentence"),
    [
        ("wrong", "example.test", True, "does not accept the credential"),
        ("right", "example.test", False, "valid but may not edit zone example.test"),
        ("right", "strange.test", True, "does not reach zone strange.test"),
    ],
)
def test_what_is_wrong_is_told_apart(
    account: Account, side: FarSide, open_at: Opener, token: str, zone: str, may_write: bool, sentence: str
) -> None:
    account.may_write = may_write
    with pytest.raises(DnsFailure, match=sentence) as caught:
        open_at(Desec, side.url, token=token).add(zone, TxtRecord(f"_acme-challenge.{zone}", "value"))
    assert caught.value.cause == "dns_credential"


def test_a_day_of_throttling_is_not_waited_for(desec: HttpProvider, side: FarSide) -> None:
    side.first = [Said(429, {"detail": "Request was throttled."}, {"Retry-After": "79200"})]
    with pytest.raises(DnsFailure, match="too many requests"):
        desec.add("example.test", TxtRecord(NAME, "value"))
    assert len(side.asked) == 1
