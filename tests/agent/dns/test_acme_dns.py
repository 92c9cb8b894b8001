"""acme-dns as it answers: it keeps the last two values of one name, and wants 43 characters."""

from __future__ import annotations

from collections import deque

import pytest

from agent.dns.credential import DnsCredential
from agent.dns.lookup import Lookup
from agent.dns.probe import check_provider
from agent.dns.provider import HttpProvider
from agent.dns.providers.acme_dns import AcmeDns
from agent.dns.publish import publish
from agent.dns.spec import DnsFailure, TxtRecord
from agent.nginx.guard import Guard
from tests.agent.dns.conftest import Lines, Opener
from tests.agent.dns.far_side import Asked, FarSide, Said
from tests.agent.dns.servers import NameServer, needs_knot

VALUES = ["a" * 43, "b" * 43]


class Server:
    def __init__(self) -> None:
        self.kept: deque[str] = deque(maxlen=2)

    def answer(self, asked: Asked) -> Said:
        if (asked.headers.get("X-Api-User"), asked.headers.get("X-Api-Key")) != ("user", "password"):
            return Said(401, {"error": "forbidden"})
        if asked.data["subdomain"] != "delegated-challenge" or len(asked.data["txt"]) != 43:
            return Said(400, {"error": "bad_txt"})
        self.kept.append(asked.data["txt"])
        return Said(200, {"txt": asked.data["txt"]})


@pytest.fixture
def account() -> Server:
    return Server()


def _open(side: FarSide, open_at: Opener, password: str = "password") -> HttpProvider:
    fields = {"url": side.url, "username": "user", "password": password, "subdomain": "delegated-challenge"}
    return open_at(AcmeDns, "", **fields)


def test_two_values_stand_side_by_side(account: Server, side: FarSide, open_at: Opener) -> None:
    provider = _open(side, open_at)
    for value in (*VALUES, *VALUES):
        provider.add("", TxtRecord("delegated-challenge.other.test", value))
    assert list(account.kept) == VALUES, "an attempt after a crash pushes nothing out"
    provider.remove("", TxtRecord("delegated-challenge.other.test", VALUES[0]))
    assert list(account.kept) == VALUES


def test_a_wrong_password(side: FarSide, open_at: Opener) -> None:
    with pytest.raises(DnsFailure, match="acme-dns does not accept the credential"):
        _open(side, open_at, "wrong-one").add("", TxtRecord("delegated-challenge.other.test", VALUES[0]))


def test_a_name_that_does_not_lead_there(side: FarSide, open_at: Opener) -> None:
    with pytest.raises(DnsFailure, match="not the name of the acme-dns account") as caught:
        _open(side, open_at).add("", TxtRecord("_acme-challenge.example.test", VALUES[0]))
    assert caught.value.next_step.startswith("Let it be a CNAME to delegated-challenge.")
    assert side.asked == []


@needs_knot
def test_a_third_value_is_refused_because_it_would_push_one_out(
    account: Server, side: FarSide, world: NameServer, lines: Lines, guard: Guard
) -> None:
    fields = {"url": side.url, "username": "user", "password": "password", "subdomain": "delegated-challenge"}
    credential = DnsCredential("1", "Test", "acme-dns", fields)
    records = [TxtRecord("_acme-challenge.delegated.example.test", value * 43) for value in "abc"]
    with (
        pytest.raises(DnsFailure, match="acme-dns keeps 2 values of one name"),
        publish(credential, records, lines.output, guard, resolver=world.settings),
    ):
        pytest.fail("it went on")
    assert len(account.kept) == 2


@needs_knot
def test_the_check_follows_the_cname(account: Server, side: FarSide, open_at: Opener, world: NameServer) -> None:
    found = check_provider(_open(side, open_at), "delegated.example.test", Lookup(world.settings))
    assert found.ok
    assert "_acme-challenge.delegated.example.test leads there" in found.sentence
    assert len(account.kept) == 1
