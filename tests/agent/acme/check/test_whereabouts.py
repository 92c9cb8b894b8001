"""Where names lead to, for who sets up a host: real name servers, and nginx that answers with this machine's token.
May import: agent.acme, tests.agent.acme.check."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from agent.acme.check import NameServers, World, look_up
from agent.acme.check.whereabouts import MOST_NAMES
from agent.acme.spec import Finding, Level
from tests.agent.acme.check import world as places
from tests.agent.acme.check.world import PASS, Names, only, running_nginx, running_site

PUBLIC, PUBLIC_V6 = ipaddress.ip_address("8.8.4.4"), ipaddress.ip_address("2001:4860:4860::8844")


def look(world: places.World, *names: str, seen_by: World = World(), **more: Any) -> list[Finding]:  # noqa: B008 - frozen
    return look_up(names, seen_by, world.surroundings(seconds=5.0, **more))


def test_a_name_with_this_machines_address_points_here(world: places.World) -> None:
    finding = only(look(world, "www.good.test"))
    assert (finding.level, finding.subject) == (Level.OK, "www.good.test")
    assert finding.sentence == "www.good.test points here."
    assert finding.record == "www.good.test A 127.0.0.1"


def test_each_name_gets_its_own_finding_in_its_order(world: places.World) -> None:
    found = look(world, "gone.good.test", "www.good.test")
    assert [(one.subject, one.level) for one in found] == [
        ("gone.good.test", Level.WARNING),
        ("www.good.test", Level.OK),
    ]


@pytest.mark.parametrize(
    ("own", "record"),
    [
        ((PUBLIC,), "gone.good.test A 8.8.4.4"),
        ((PUBLIC_V6, PUBLIC), "gone.good.test A 8.8.4.4"),
        ((PUBLIC_V6,), "gone.good.test AAAA 2001:4860:4860::8844"),
        ((ipaddress.ip_address("192.168.1.5"),), ""),
    ],
)
def test_a_name_that_is_not_there_comes_with_the_record_to_set(world: places.World, own: Any, record: str) -> None:
    world.own = own
    finding = only(look(world, "gone.good.test"))
    assert (finding.level, finding.record) == (Level.WARNING, record)
    assert finding.next_step


def test_a_name_that_leads_elsewhere_comes_with_the_record_of_this_machine(world: places.World) -> None:
    world.own = (PUBLIC,)
    finding = only(look(world, "public.good.test"))
    assert finding.level is Level.WARNING
    assert finding.sentence == "public.good.test points to 203.0.113.5, where this machine was not found."
    assert finding.record == "public.good.test A 8.8.4.4"


def test_behind_a_router_elsewhere_is_only_a_hint(world: places.World) -> None:
    world.own = (ipaddress.ip_address("192.168.1.5"),)
    finding = only(look(world, "public.good.test"))
    assert (finding.level, finding.record) == (Level.INFO, "")
    assert "proves little" in finding.sentence


def test_a_name_in_the_home_network_is_fine_where_that_is_this_machine(world: places.World) -> None:
    world.own = (ipaddress.ip_address("192.168.1.5"),)
    assert only(look(world, "lan.good.test")).level is Level.OK


def test_one_address_of_two_elsewhere_names_the_record_to_remove(world: places.World) -> None:
    finding = only(look(world, "both.good.test"))
    assert finding.level is Level.WARNING
    assert finding.sentence == "both.good.test points here (127.0.0.1), and also to ::1, where this machine is not."
    assert "AAAA" in finding.next_step


def test_another_address_is_here_when_it_answers_with_this_machines_token(world: places.World, names: Names) -> None:
    world.own = ()
    seen_by = World(f"127.0.0.1:{names.resolver_port}", is_test=True)
    with running_nginx(world, f"server {{ listen PORT; {PASS} }}"):
        assert only(look(world, "www.good.test", seen_by=seen_by)).level is Level.OK
    assert only(look(world, "www.good.test", seen_by=seen_by)).level is not Level.OK
    assert [one for one in world.layout.webroot.rglob("*") if one.is_file()] == []


def test_loopback_and_metadata_addresses_are_never_asked_for_everybodys_names(world: places.World) -> None:
    world.own = (PUBLIC,)
    with running_site() as site:
        for name in ("www.good.test", "meta.good.test"):
            assert only(look(world, name, public_port=site.port)).level is Level.WARNING
        assert site.asked == []


def test_name_servers_that_are_silent_end_in_time(world: places.World) -> None:
    silent = NameServers((("192.0.2.1", 53),))
    found = look_up(["a.test"], World(), world.surroundings(seconds=0.3, name_servers=silent))
    assert only(found).level in {Level.INFO, Level.WARNING}


def test_no_more_than_a_handful_is_looked_up(world: places.World) -> None:
    many = [f"h{number}.good.test" for number in range(MOST_NAMES + 10)]
    assert len(look(world, *many)) == MOST_NAMES
