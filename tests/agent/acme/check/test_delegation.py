"""The DNS check before the order: where the record goes, and whether the credential gets there.
May import: agent.acme, agent.dns, tests.agent.acme.check."""

from __future__ import annotations

import pytest

from agent.acme.check import check
from agent.acme.check.delegation import check_credential, check_delegation
from agent.acme.check.lookup import Lookup
from agent.acme.check.surroundings import Deadline, NameServers
from agent.acme.spec import Challenge, Finding, Level
from agent.dns.credential import DnsCredential
from tests.agent.acme.check.world import Names, World, is_error, of, only, running_silence

MANUAL = DnsCredential("1", "By hand", "manual")


def delegation(names: Names | NameServers, name: str) -> list[Finding]:
    servers = names.servers if isinstance(names, Names) else names
    return check_delegation(name, Lookup(servers, Deadline(1.0), lambda _: True))


def test_an_alias_is_told_with_where_it_leads(names: Names) -> None:
    finding = only(delegation(names, "*.delegated.good.test"))
    assert finding.level is Level.INFO
    assert "written at lineage.acme.elsewhere.test" in finding.sentence


def test_a_name_without_one_needs_no_word(names: Names) -> None:
    assert delegation(names, "www.good.test") == []


@pytest.mark.parametrize("name", ["www.broken.test", "www.forged.test"])
def test_broken_name_servers_are_an_error(names: Names, name: str) -> None:
    assert is_error(only(delegation(names, name)), "dns_broken")


def test_silent_ones_are_a_warning() -> None:
    with running_silence() as port:
        assert only(delegation(NameServers((("127.0.0.1", port),)), "a.test")).level is Level.WARNING


def credential(world: World, names: Names, chosen: DnsCredential | None) -> Finding:
    question = world.question(world.spec("*.good.test", challenge=Challenge.DNS_01, dns=chosen))
    return only(check_credential(question, Lookup(names.servers, Deadline(1.0), lambda _: True)))


def test_no_credential_is_an_error(world: World, names: Names) -> None:
    assert is_error(credential(world, names, None), "dns_credential")


def test_a_provider_that_this_agent_does_not_know_is_an_error(world: World, names: Names) -> None:
    unknown = DnsCredential("1", "Strange", "no-such-provider")
    assert is_error(credential(world, names, unknown), "dns_credential")


def test_a_provider_that_tells_no_zones_is_only_told(world: World, names: Names) -> None:
    assert credential(world, names, MANUAL).level is Level.INFO


def test_the_dns_check_asks_no_web_server_and_needs_no_address(world: World, names: Names) -> None:
    spec = world.spec("*.good.test", "gone.good.test", challenge=Challenge.DNS_01, dns=MANUAL)
    found = check(spec, world.surroundings(name_servers=names.servers, seconds=2.0))
    assert {finding.check for finding in found} == {"names", "storage", "directory", "caa", "dns"}
    assert not [finding for finding in of(found, "dns") if finding.level is Level.ERROR]
