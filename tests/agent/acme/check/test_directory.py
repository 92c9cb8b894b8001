"""What a directory tells: a small one over real TLS, whose clock, profiles and demands a test sets.
May import: agent.acme, tests.agent.acme.check."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from agent.acme.check import check
from agent.acme.spec import Authority, Finding, Level
from tests.agent.acme.check.world import DirectoryServer, World, is_error, of, only
from tests.challtestsrv import running_challtestsrv
from tests.product import free_ports


def run(world: World, authority: Authority, *others: Authority, **more: Any) -> list[Finding]:
    spec = replace(world.spec("a.test", authority=authority, **more), authorities=(authority, *others))
    return check(spec, world.surroundings())


def test_a_directory_that_answers_is_fine(world: World, directory: DirectoryServer) -> None:
    found = run(world, directory.authority)
    assert only(of(found, "directory")).level is Level.OK
    assert only(of(found, "clock")).level is Level.OK


@pytest.mark.parametrize(
    ("offset", "level", "words"),
    [
        (timedelta(minutes=11), Level.WARNING, "11 minutes slow"),
        (-timedelta(minutes=11), Level.WARNING, "11 minutes fast"),
        (timedelta(seconds=-59), Level.OK, "agrees"),
        (timedelta(hours=5), Level.ERROR, "5 hours slow"),
        (timedelta(days=-40), Level.ERROR, "40 days fast"),
    ],
)
def test_a_clock_that_is_wrong_is_said_with_how_much(
    world: World, directory: DirectoryServer, offset: timedelta, level: Level, words: str
) -> None:
    directory.offset = offset
    finding = only(of(run(world, directory.authority), "clock"))
    assert (finding.level, words in finding.sentence) == (level, True)


def test_missing_values_for_the_account_are_an_error(world: World, directory: DirectoryServer) -> None:
    directory.meta["externalAccountRequired"] = True
    assert is_error(only(of(run(world, directory.authority), "directory")), "external_account")
    bound = replace(directory.authority, eab_kid="kid", eab_hmac_key="aGVsbG8")
    assert only(of(run(world, bound), "directory")).level is Level.OK


def test_a_profile_must_be_one_that_it_offers(world: World, directory: DirectoryServer) -> None:
    finding = only(of(run(world, directory.authority, profile="shortlived"), "directory"))
    assert is_error(finding, "profile")
    assert "offers none" in finding.sentence
    directory.meta["profiles"] = {"classic": "", "shortlived": ""}
    assert only(of(run(world, directory.authority, profile="shortlived"), "directory")).level is Level.OK
    assert "offers classic, shortlived" in only(of(run(world, directory.authority, profile="x"), "directory")).sentence


def test_a_directory_that_cannot_be_reached_is_an_error(world: World) -> None:
    gone = Authority("1", "Gone CA", f"https://127.0.0.1:{free_ports(1)[0]}/directory", is_test=True)
    assert is_error(only(of(run(world, gone), "directory")), "authority_unreachable")


def test_a_directory_whose_certificate_is_not_trusted_is_an_error(world: World, directory: DirectoryServer) -> None:
    assert is_error(only(of(run(world, directory.with_(ca_pem="")), "directory")), "authority_unreachable")


def test_with_another_authority_to_fall_back_on_it_is_a_warning_that_names_that_one(
    world: World, directory: DirectoryServer
) -> None:
    gone = Authority("1", "Gone CA", f"https://127.0.0.1:{free_ports(1)[0]}/directory", is_test=True)
    finding = only(of(run(world, gone, directory.authority), "directory"))
    assert finding.level is Level.WARNING
    assert "Small CA is asked instead" in finding.next_step


def test_no_authority_at_all_is_an_error(world: World) -> None:
    spec = replace(world.spec("a.test"), authorities=())
    assert only(check(spec, world.surroundings())).level is Level.ERROR


def test_the_identities_of_the_directory_reach_the_caa_check(world: World, directory: DirectoryServer) -> None:
    directory.meta["caaIdentities"] = ["ca.test"]
    with running_challtestsrv() as dns:
        dns.add_caa("a.test.", "issue", "other.test")
        found = run(world, directory.with_(dns_server=dns.dns_server))
        assert is_error(only(of(found, "caa")), "caa_forbids")
        dns.add_caa("a.test.", "issue", "ca.test")
        assert only(of(run(world, directory.with_(dns_server=dns.dns_server)), "caa")).level is Level.OK
