"""The wait for name servers: who is left out, what is told, and names that a form has doubled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.dns.lookup import Lookup
from agent.dns.propagation import Pace, Propagation, Wanted
from agent.dns.spec import DnsFailure, DnsSettings
from agent.dns.zones import Place, Server, Zone, locate
from agent.nginx.guard import Guard
from agent.output import OutputLine
from tests.agent.dns.conftest import Lines
from tests.agent.dns.servers import NameServer, knot, needs_knot, zone_text

pytestmark = needs_knot
QUICK = Pace(first_look=0.05, last_look=0.1, tell_every=0.2, silent=0.3, no_ipv6=0.2, doubled=0.1, negative=5.0)


def test_a_record_that_does_not_come_is_told_server_by_server(world: NameServer, lines: Lines, guard: Guard) -> None:
    lookup = Lookup(world.settings)
    place = locate("_acme-challenge.never.example.test", lookup)
    wait = Propagation([Wanted(place, frozenset({"value"}))], lookup, lines.output, guard, QUICK)
    with pytest.raises(DnsFailure, match=r"0 of 1 name servers show the TXT record of _acme-challenge.never") as caught:
        wait.wait(0.5)
    assert caught.value.cause == "record_not_seen"
    assert "ns1.example.test (127.0.0.1) does not show it yet" in lines.text


def test_an_old_value_is_not_taken_for_ours(world: NameServer, lines: Lines, guard: Guard) -> None:
    lookup = Lookup(world.settings)
    world.put("example.test", "_acme-challenge.old.example.test", "old")
    place = locate("_acme-challenge.old.example.test", lookup)
    with pytest.raises(DnsFailure, match="shows another value"):
        Propagation([Wanted(place, frozenset({"new"}))], lookup, lines.output, guard, QUICK).wait(0.3)


def test_a_doubled_name_is_found(world: NameServer, lines: Lines, guard: Guard) -> None:
    lookup = Lookup(world.settings)
    world.put("example.test", "_acme-challenge.doubled.example.test.example.test", "value")
    place = locate("_acme-challenge.doubled.example.test", lookup)
    wait = Propagation([Wanted(place, frozenset({"value"}))], lookup, lines.output, guard, QUICK)
    with pytest.raises(DnsFailure, match="doubled the name") as caught:
        wait.wait(0.5)
    assert caught.value.next_step == "Enter the name as _acme-challenge.doubled there, without example.test."
    assert len(lines.of("warning")) == 1


def test_a_doubled_name_can_be_corrected_while_it_waits(world: NameServer, lines: Lines, guard: Guard) -> None:
    lookup = Lookup(world.settings)
    world.put("example.test", "_acme-challenge.mended.example.test.example.test", "value")
    place = locate("_acme-challenge.mended.example.test", lookup)

    def correct(line: OutputLine) -> None:
        if line.level == "warning":
            world.put("example.test", place.name, "value")

    lines.listeners.append(correct)
    Propagation([Wanted(place, frozenset({"value"}))], lookup, lines.output, guard, QUICK).wait(None)
    assert lines.of("ok") == [f"ns1.example.test (127.0.0.1) shows the record: {place.name}"]


@pytest.mark.parametrize("others", [True, False])
def test_a_dead_server_is_left_out_only_when_others_answer(
    world: NameServer, lines: Lines, guard: Guard, others: bool
) -> None:
    name = "_acme-challenge.dead.example.test"
    world.put("example.test", name, "value")
    alive = (Server("ns1.example.test", "127.0.0.1"),) if others else ()
    place = Place(name, Zone("example.test", (*alive, Server("ns9.example.test", "127.9.9.9"))))
    lookup = Lookup(world.settings, 0.3)
    wait = Propagation([Wanted(place, frozenset({"value"}))], lookup, lines.output, guard, QUICK)
    if others:
        wait.wait(60)
        assert lines.of("warning") == ["ns9.example.test (127.9.9.9) has not answered all the time and is left out."]
        return
    with pytest.raises(DnsFailure, match=r"None of the name servers of example.test answers") as caught:
        wait.wait(60)
    assert caught.value.cause == "dns_broken"


def test_ipv6_that_leads_nowhere_is_left_out_soon(world: NameServer, lines: Lines, guard: Guard) -> None:
    name = "_acme-challenge.nowhere6.example.test"
    world.put("example.test", name, "value")
    servers = (Server("ns1.example.test", "127.0.0.1"), Server("ns1.example.test", "::1"))
    wanted = [Wanted(Place(name, Zone("example.test", servers)), frozenset({"value"}))]
    pace = replace(QUICK, silent=60.0)
    Propagation(wanted, Lookup(world.settings, 0.2), lines.output, guard, pace).wait(60)
    assert lines.of("warning") == ["ns1.example.test (::1) has not answered all the time and is left out."]


def test_the_memory_of_a_resolver_is_outlived(tmp_path: Path, lines: Lines, guard: Guard) -> None:
    zones = {"example.test": zone_text("example.test")}
    name = "_acme-challenge.example.test"
    with knot(tmp_path / "old", zones) as resolver, knot(tmp_path / "new", zones) as authoritative:
        authoritative.put("example.test", name, "value")
        lookup = Lookup(DnsSettings(f"127.0.0.1:{resolver.port}", authoritative.port))
        wanted = [Wanted(locate(name, lookup), frozenset({"value"}))]
        Propagation(wanted, lookup, lines.output, guard, QUICK).wait(60)
    assert f"A resolver still remembers that {name} had no record; waiting 1 s for it." in lines.of("info")
