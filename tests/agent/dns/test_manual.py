"""By hand: the record is shown, the job waits for the person, and says when the record may go."""

from __future__ import annotations

import pytest

from agent.dns.check import check
from agent.dns.credential import DnsCredential
from agent.dns.publish import publish
from agent.dns.spec import TxtRecord
from agent.nginx.guard import Guard
from agent.output import OutputLine
from tests.agent.dns.conftest import Lines
from tests.agent.dns.servers import NameServer, needs_knot

CREDENTIAL = DnsCredential("1", "By hand", "manual", {})
NAME = "_acme-challenge.hand.example.test"


@needs_knot
def test_a_person_adds_what_the_page_shows(world: NameServer, lines: Lines, guard: Guard) -> None:
    def add(line: OutputLine) -> None:
        if line.level == "info" and "does not show it yet" in line.text:
            for record in [shown.text for shown in lines.all if shown.level == "record"]:
                name, kind, value = record.split(" ")
                assert kind == "TXT"
                world.put("example.test", name, value)

    lines.listeners.append(add)
    records = [TxtRecord(NAME, "apex"), TxtRecord(NAME, "wildcard")]
    with publish(CREDENTIAL, records, lines.output, guard, resolver=world.settings):
        assert world.texts(NAME) == {"apex", "wildcard"}
    assert lines.of("record") == [f"{NAME} TXT apex", f"{NAME} TXT wildcard"]
    assert f"You can remove this record now: {NAME} TXT apex" in lines.text


@pytest.mark.parametrize("zone", ["", "example.test"])
def test_there_is_nothing_to_check(zone: str) -> None:
    assert check(CREDENTIAL, zone).ok
