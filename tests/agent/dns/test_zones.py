"""Where a challenge goes: zones by SOA, delegation by CNAME, and what is not meant for challenges."""

from __future__ import annotations

import pytest

from agent.dns.lookup import Lookup
from agent.dns.spec import DnsFailure, DnsSettings
from agent.dns.zones import locate
from tests.agent.dns.servers import NameServer, free_port, needs_knot

pytestmark = needs_knot


@pytest.mark.parametrize(
    ("name", "place", "zone", "hops"),
    [
        ("_acme-challenge.example.test", "_acme-challenge.example.test", "example.test", ()),
        ("_acme-challenge.not.there.example.test", "_acme-challenge.not.there.example.test", "example.test", ()),
        ("_acme-challenge.www.sub.example.test", "_acme-challenge.www.sub.example.test", "sub.example.test", ()),
        ("_acme-challenge.sub.example.test", "_acme-challenge.sub.example.test", "sub.example.test", ()),
        (
            "_acme-challenge.delegated.example.test",
            "delegated-challenge.other.test",
            "other.test",
            ("delegated-challenge.other.test",),
        ),
        # A CNAME for every name is not meant for challenges.
        ("_acme-challenge.wild.example.test", "_acme-challenge.wild.example.test", "example.test", ()),
    ],
)
def test_a_challenge_is_followed_to_its_zone(
    world: NameServer, name: str, place: str, zone: str, hops: tuple[str, ...]
) -> None:
    found = locate(name, Lookup(world.settings))
    assert (found.name, found.zone_name, found.hops) == (place, zone, hops)
    assert found.zone is not None
    assert [(server.name, server.address) for server in found.zone.servers] == [(f"ns1.{zone}", "127.0.0.1")]


def test_a_circle_of_cnames_ends(world: NameServer) -> None:
    with pytest.raises(DnsFailure, match="circle") as caught:
        locate("_acme-challenge.circle.example.test", Lookup(world.settings))
    assert caught.value.cause == "dns_broken"


def test_a_name_outside_of_all_zones_has_none(world: NameServer) -> None:
    assert locate("_acme-challenge.nowhere.invalid", Lookup(world.settings)).zone is None


def test_a_resolver_that_is_silent_is_told() -> None:
    with pytest.raises(DnsFailure, match="broken answers, or none"):
        locate("_acme-challenge.example.test", Lookup(DnsSettings(f"127.0.0.1:{free_port('127.0.0.1')}"), 0.2))


@pytest.mark.parametrize(
    ("server", "address", "port"),
    [("127.0.0.1:8053", ("127.0.0.1", 8053), 8053), ("[::1]:8053", ("::1", 8053), 8053), ("", ("", 53), 53)],
)
def test_servers_are_asked_at_the_port_of_the_resolver(server: str, address: tuple[str, int], port: int) -> None:
    assert (DnsSettings(server).address, DnsSettings(server).port) == (address, port)
