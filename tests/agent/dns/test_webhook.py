"""A service of one's own, told in the form of lego's httpreq; and where it may not be."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.dns.credential import DnsCredential
from agent.dns.publish import publish
from agent.dns.spec import DnsFailure, TxtRecord
from agent.nginx.guard import Guard
from tests.agent.dns.conftest import Lines
from tests.agent.dns.far_side import Asked, FarSide, Said, far_side
from tests.agent.dns.servers import NameServer, needs_knot

NAME = "_acme-challenge.hooked.example.test"


def _credential(url: str, **fields: str) -> DnsCredential:
    return DnsCredential("1", "My hook", "webhook", {"url": url, **fields})


@pytest.fixture
def side() -> Iterator[FarSide]:
    def answer(asked: Asked) -> Said:
        if asked.headers.get("Authorization") != "Basic bWU6c2VjcmV0w6k=":
            return Said(401, b"who are you?")
        return Said(200 if asked.path in {"/hook/present", "/hook/cleanup"} else 404)

    with far_side(answer) as found:
        yield found


@needs_knot
def test_it_is_told_to_present_and_to_clean_up(side: FarSide, world: NameServer, lines: Lines, guard: Guard) -> None:
    credential = _credential(f"{side.url}/hook/", username="me", password="secreté")
    records = [TxtRecord(NAME, "value")]
    with publish(credential, records, lines.output, guard, propagation_seconds=1, resolver=world.settings):
        assert side.calls() == ["POST /hook/present"]
    assert side.calls() == ["POST /hook/present", "POST /hook/cleanup"]
    assert [asked.data for asked in side.asked] == [{"fqdn": f"{NAME}.", "value": "value"}] * 2


@needs_knot
@pytest.mark.parametrize(
    ("path", "password", "sentence"),
    [("/hook", "another", "does not accept the credential"), ("/else", "secreté", "knows no /present")],
)
def test_what_is_wrong_is_told(
    side: FarSide, world: NameServer, lines: Lines, guard: Guard, path: str, password: str, sentence: str
) -> None:
    credential = _credential(side.url + path, username="me", password=password)
    with (
        pytest.raises(DnsFailure, match=sentence) as caught,
        publish(credential, [TxtRecord(NAME, "v")], lines.output, guard, resolver=world.settings),
    ):
        pytest.fail("it went on")
    assert password not in f"{caught.value} {caught.value.detail} {lines.text}"


@needs_knot
@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://dns.example.com", "use an address like"),
        ("https://user:pass@dns.example.com", "use an address like"),
        ("https://dns.example.com/?a=b", "use an address like"),
        ("https://dns.example.com\\@evil", "use an address like"),
        ("file:///etc/passwd", "use an address like"),
        ("http://[::1", "use an address like"),
        ("http://0.0.0.0:1/", "does not speak to 0.0.0.0|cannot be reached"),
    ],
)
def test_addresses_that_cannot_be_right(world: NameServer, lines: Lines, guard: Guard, url: str, sentence: str) -> None:
    with (
        pytest.raises(DnsFailure, match=sentence),
        publish(_credential(url), [TxtRecord(NAME, "v")], lines.output, guard, resolver=world.settings),
    ):
        pytest.fail("it went on")
