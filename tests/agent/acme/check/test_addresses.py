"""A and AAAA records, as name servers and a resolver of BIND and as Pebble's own name server tell them.
May import: agent.acme, tests.agent.acme.check."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest

from agent.acme.check.addresses import Addresses, find_addresses, judge, may_connect
from agent.acme.check.lookup import Lookup, State
from agent.acme.check.surroundings import Deadline, NameServers
from agent.acme.spec import Finding, Level
from tests.agent.acme.check.world import LETS_ENCRYPT, NOBODY, Names, World, is_error, only, running_silence
from tests.challtestsrv import running_challtestsrv
from tests.product import free_ports

PUBLIC = ipaddress.ip_address("203.0.113.5")


def lookup(names: Names | NameServers, seconds: float = 5.0) -> Lookup:
    servers = names.servers if isinstance(names, Names) else names
    return Lookup(servers, Deadline(seconds), lambda _: True)


def found(names: Names, name: str) -> Addresses:
    return find_addresses(name, lookup(names), ask_owners=True)


def check(world: World, names: Names, name: str, authority: object = NOBODY, **more: object) -> list[Finding]:
    question = world.question(world.spec(name, authority=authority), **more)  # type: ignore[arg-type]
    return judge(name, found(names, name), question)


def test_both_families_are_found_ipv6_first(names: Names) -> None:
    assert list(map(str, found(names, "both.good.test").found)) == ["::1", "127.0.0.1"]


def test_a_cname_within_the_domain_and_one_that_leads_out_of_it_are_followed(names: Names) -> None:
    assert list(map(str, found(names, "www.good.test").found)) == ["127.0.0.1"]
    assert list(map(str, found(names, "shop.good.test").found)) == ["127.0.0.1"]


def test_a_name_with_an_address_is_one_ok(world: World, names: Names) -> None:
    finding = only(check(world, names, "www.good.test"))
    assert (finding.level, finding.sentence) == (Level.OK, "www.good.test leads to 127.0.0.1.")


def test_a_name_that_is_not_there_is_an_error_with_the_record_to_add(world: World, names: Names) -> None:
    finding = only(check(world, names, "gone.good.test"))
    assert is_error(finding, "no_address")
    assert finding.sentence == "gone.good.test does not exist in DNS yet."
    assert finding.record == "gone.good.test A 127.0.0.1"


def test_a_public_authority_gets_this_machines_public_address_in_the_record(world: World, names: Names) -> None:
    world.own = (ipaddress.ip_address("10.0.0.5"), ipaddress.ip_address("8.8.4.4"))
    assert only(check(world, names, "gone.good.test", LETS_ENCRYPT)).record == "gone.good.test A 8.8.4.4"


def test_behind_a_router_the_record_is_not_guessed(world: World, names: Names) -> None:
    world.own = (ipaddress.ip_address("192.168.1.5"),)
    finding = only(check(world, names, "gone.good.test", LETS_ENCRYPT))
    assert finding.record == ""
    assert "A record" in finding.next_step


@pytest.mark.parametrize(("name", "words"), [("broken.test", "broken answers"), ("forged.test", "DNSSEC")])
def test_servfail_and_wrong_signatures_are_errors(world: World, names: Names, name: str, words: str) -> None:
    for ask_owners in (True, False):
        addresses = find_addresses(name, lookup(names), ask_owners=ask_owners)
        finding = only(judge(name, addresses, world.question(world.spec(name))))
        assert is_error(finding, "dns_broken")
        assert words in finding.sentence


def test_servers_that_are_silent_are_a_warning_within_the_deadline(world: World) -> None:
    deaf = NameServers((("127.0.0.1", free_ports(1)[0]), ("192.0.2.1", 53)))
    silent = find_addresses("a.test", lookup(deaf, 0.3), ask_owners=True)
    assert silent.state in {State.SILENT, State.BROKEN}
    with running_silence() as port:
        silent = find_addresses("a.test", lookup(NameServers((("127.0.0.1", port),)), 0.3), ask_owners=True)
    assert silent.state is State.SILENT
    finding = only(judge("a.test", silent, world.question(world.spec("a.test"))))
    assert (finding.level, finding.cause) == (Level.WARNING, "dns_broken")


def test_a_private_address_is_an_error_for_a_public_authority_only(world: World, names: Names) -> None:
    finding = only(check(world, names, "lan.good.test", LETS_ENCRYPT))
    assert is_error(finding, "private_address")
    assert "192.168.1.5" in finding.sentence
    own_ca = replace(LETS_ENCRYPT, directory_url="https://ca.lan/directory", ca_pem="PEM")
    assert only(check(world, names, "lan.good.test", own_ca)).level is Level.OK


def test_what_only_the_own_resolver_says_is_a_doubt_because_it_may_be_seen_from_inside(
    world: World, names: Names
) -> None:
    """The domain's name servers are out of reach: nobody listens at their port."""
    inside = find_addresses("lan.good.test", lookup(NameServers(names.servers.addresses, 1), 2.0), ask_owners=True)
    assert not inside.is_sure
    question = world.question(world.spec("lan.good.test", authority=LETS_ENCRYPT))
    finding = only(judge("lan.good.test", inside, question))
    assert (finding.level, finding.cause) == (Level.WARNING, "private_address")


def test_a_server_that_only_refers_to_others_is_not_believed(names: Names) -> None:
    """`test` delegates `delegated.test` to a server that does not exist."""
    owner = NameServers((("127.0.0.1", names.owner_port),), names.owner_port)
    assert [answer.state for answer in lookup(owner).ask_owners("www.delegated.test", "A")] == [State.BROKEN]


def test_ipv6_without_nginx_listening_on_it_is_an_error_alone_and_a_doubt_beside_ipv4(
    world: World, names: Names
) -> None:
    assert is_error(only(check(world, names, "six.good.test", has_ipv6=False)), "ipv6_only")
    finding = only(check(world, names, "both.good.test", has_ipv6=False))
    assert (finding.level, finding.cause) == (Level.WARNING, "ipv6_elsewhere")


def test_an_old_answer_of_the_own_resolver_is_only_told(world: World, names: Names) -> None:
    """The resolver says 203.0.113.5, and the name servers of the domain 127.0.0.1."""
    with running_challtestsrv() as other:
        other.set_default_ipv4("203.0.113.5")
        other_port = int(other.dns_server.rpartition(":")[2])
        resolved = find_addresses("www.good.test", lookup(NameServers((("127.0.0.1", other_port),))), ask_owners=False)
    owned = found(names, "www.good.test")
    mixed = Addresses(owned.found, State.FOUND, elsewhere=resolved.found)
    levels = [one.level for one in judge("www.good.test", mixed, world.question(world.spec("www.good.test")))]
    assert levels == [Level.OK, Level.INFO]


def test_name_servers_that_disagree_are_a_warning(world: World) -> None:
    some = Addresses((PUBLIC,), State.FOUND, partial=(PUBLIC,))
    finding = only(judge("a.test", some, world.question(world.spec("a.test"))))
    assert (finding.level, finding.cause) == (Level.WARNING, "dns_broken")


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "fe80::1", "100.100.100.200", "fd00:ec2::254", "0.0.0.0", "224.0.0.1", "::"),
        *("::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1"),
    ],
)
@pytest.mark.parametrize("authority", [NOBODY, LETS_ENCRYPT, replace(LETS_ENCRYPT, ca_pem="PEM")])
def test_nobody_is_sent_to_link_local_or_metadata_addresses(world: World, address: str, authority: object) -> None:
    question = world.question(world.spec("a.test", authority=authority))  # type: ignore[arg-type]
    assert not may_connect(ipaddress.ip_address(address), question)


@pytest.mark.parametrize(
    ("address", "public", "own_ca", "test"),
    [
        ("8.8.8.8", True, True, True),
        ("192.168.1.5", False, True, True),
        ("fd12::1", False, True, True),
        ("127.0.0.1", False, False, True),
        ("::1", False, False, True),
        ("::ffff:127.0.0.1", False, False, True),
    ],
)
def test_loopback_is_for_test_authorities_and_private_networks_for_ones_own(
    world: World, address: str, public: bool, own_ca: bool, test: bool
) -> None:
    authorities = (LETS_ENCRYPT, replace(LETS_ENCRYPT, ca_pem="PEM"), NOBODY)
    questions = [world.question(world.spec("a.test", authority=authority)) for authority in authorities]
    assert [may_connect(ipaddress.ip_address(address), q) for q in questions] == [public, own_ca, test]
