"""The count of what this agent asked for, against the limits of Let's Encrypt.
May import: agent.acme, tests.agent.acme.check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agent.acme.check.limits import DUPLICATES, FAILURES, check_limits
from agent.acme.spec import Finding, Level
from tests.agent.acme.check.world import LETS_ENCRYPT, NOBODY, World, is_error, only

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
Entry = tuple[Sequence[str], datetime]


def check(world: World, names: Sequence[str], issues: Sequence[Entry], failures: Sequence[Entry] = ()) -> list[Finding]:
    def since(entries: Sequence[Entry]) -> object:
        return lambda url, moment: [e for e in entries if e[1] >= moment and url == LETS_ENCRYPT.directory_url]

    more: dict[str, Any] = {"now": lambda: NOW, "issues_since": since(issues), "failures_since": since(failures)}
    return check_limits(world.question(world.spec(*names, authority=LETS_ENCRYPT), **more))


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def test_nothing_done_before_leaves_room(world: World) -> None:
    assert only(check(world, ["a.example.com"], [])).level is Level.OK


def test_five_of_the_same_set_are_an_error_that_says_when_it_opens(world: World) -> None:
    issues = [(("b.example.com", "a.example.com"), ago(hours=number)) for number in range(5)]
    finding = only(check(world, ["a.example.com", "b.example.com"], issues))
    assert is_error(finding, "duplicate_limit")
    assert "5 times in 7 days" in finding.sentence
    # The first of the five was 4 hours ago; a token comes back every 33.6 hours.
    assert "17:36 UTC on Wednesday, 25 November" in finding.sentence


def test_another_set_does_not_count_as_the_same(world: World) -> None:
    issues = [(("a.example.com", "b.example.com"), ago(hours=1))] * 5
    assert only(check(world, ["a.example.com"], issues)).level is Level.OK


def test_four_of_the_same_set_leave_room(world: World) -> None:
    assert only(check(world, ["a.example.com"], [(("a.example.com",), ago(minutes=1))] * 4)).level is Level.OK


def test_a_bucket_fills_again_while_time_passes(world: World) -> None:
    spread = [ago(hours=40 * number) for number in range(5)]  # slower than one in 33.6 hours
    assert DUPLICATES.opens_at(spread, NOW) is None
    assert FAILURES.opens_at([ago(minutes=1)] * 5, NOW) == NOW + timedelta(minutes=11)
    assert FAILURES.opens_at([ago(minutes=13)] * 5, NOW) is None


def test_fifty_of_one_domain_are_an_error_for_new_names_only(world: World) -> None:
    issues = [((f"n{number}.example.co.uk",), ago(minutes=number)) for number in range(50)]
    finding = only(check(world, ["new.example.co.uk"], issues))
    assert is_error(finding, "domain_limit")
    assert finding.subject == "example.co.uk"
    assert only(check(world, ["n7.example.co.uk"], issues)).level is Level.OK  # a renewal
    assert only(check(world, ["new.other.co.uk"], issues)).level is Level.OK


def test_domains_below_an_ending_of_a_company_are_counted_apart(world: World) -> None:
    issues = [((f"user{number}.github.io",), ago(minutes=number)) for number in range(50)]
    assert only(check(world, ["me.github.io"], issues)).level is Level.OK


def test_five_failures_within_an_hour_are_an_error_of_that_name(world: World) -> None:
    failures = [(("bad.example.com",), ago(minutes=2))] * 5
    finding = only(check(world, ["good.example.com", "bad.example.com"], [], failures))
    assert is_error(finding, "failure_limit")
    assert finding.subject == "bad.example.com"
    assert "opens again at 12:10 UTC" in finding.sentence


@pytest.mark.parametrize("authority", [NOBODY, replace(LETS_ENCRYPT, directory_url="https://acme.example/directory")])
def test_authorities_whose_limits_are_unknown_get_no_word(world: World, authority: object) -> None:
    spec = world.spec("a.example.com", authority=authority)  # type: ignore[arg-type]
    assert check_limits(world.question(spec)) == []


def test_staging_has_limits_that_nobody_reaches(world: World) -> None:
    url = "https://acme-staging-v02.api.letsencrypt.org/directory"
    spec = world.spec("a.example.com", authority=replace(LETS_ENCRYPT, directory_url=url))
    assert check_limits(world.question(spec)) == []
