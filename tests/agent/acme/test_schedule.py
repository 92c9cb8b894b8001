"""When to renew: never late, never all at once, never by a number of days.
May import: agent, hypothesis."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.acme.leaf import Leaf
from agent.acme.schedule import (
    FIRST_TRIES,
    choose,
    heal_clock,
    next_action,
    next_attempt,
    pause_after,
    plan,
    renew_at,
    retry_at,
)
from agent.acme.spec import Authority, CertificateSpec, Failure
from agent.acme.state import Memory, Source, Window
from agent.dns.credential import DnsCredential

# A loaded machine is slow, and nothing here is about time.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
MAIN = Authority("1", "Main", "https://main.example/dir", "https://staging.example/dir")
OTHER = Authority("2", "Other", "https://other.example/dir")
SPEC = CertificateSpec("a.example", ("a.example",), (MAIN, OTHER))
MEMORY = Memory("a.example", spec=SPEC)

lifetimes = st.timedeltas(timedelta(hours=2), timedelta(days=400))
shas = st.text("0123456789abcdef", min_size=64, max_size=64)
moments = st.integers(0, 20 * 365 * 86_400).map(lambda seconds: NOW + timedelta(seconds=seconds))


def make_leaf(lifetime: timedelta, left: float = 1.0, sha256: str = "ab") -> Leaf:
    """Of which `left` of the lifetime is left now."""
    end = NOW + lifetime * left
    return Leaf(("a.example",), end - lifetime, end, "1", "Issuer", "ec-256", sha256)


@pytest.mark.parametrize(("days", "share"), [(90, 3), (64, 3), (45, 3), (160 / 24, 2), (0.5, 2)])
def test_a_third_is_left_at_renewal_and_half_of_a_short_one(days: float, share: int) -> None:
    leaf = make_leaf(timedelta(days=days))
    at = renew_at(leaf, None)
    assert abs((leaf.not_after - at) - leaf.lifetime / share) <= leaf.lifetime / 100


@PATIENT
@given(lifetimes, shas, moments, st.timedeltas(timedelta(seconds=1), timedelta(days=400)))
def test_no_window_makes_a_renewal_late(lifetime: timedelta, sha: str, start: datetime, width: timedelta) -> None:
    leaf = make_leaf(lifetime, sha256=sha)
    window = choose(sha, start, start + width, "", None)
    assert window is not None
    assert start <= window.chosen < start + width
    assert renew_at(leaf, window) <= leaf.not_after - leaf.lifetime / 20
    assert leaf.not_before < renew_at(leaf, None) < leaf.not_after - leaf.lifetime / 4


@PATIENT
@given(shas, moments)
def test_a_chosen_moment_is_kept_until_the_window_moves(sha: str, start: datetime) -> None:
    first = choose(sha, start, start + timedelta(days=2), "", None)
    assert first is not None
    marked = replace(first, chosen=start + timedelta(hours=1))
    again = choose(sha, start, start + timedelta(days=2), "https://incident.example", marked)
    assert again == replace(marked, url="https://incident.example")
    moved = choose(sha, start + timedelta(days=1), start + timedelta(days=3), "", marked)
    assert moved is not None
    assert moved.chosen != marked.chosen
    assert choose(sha, start, start, "", None) is None
    assert choose(sha, start, start - timedelta(days=1), "", None) is None


def test_many_certificates_of_one_day_are_not_renewed_in_one_moment() -> None:
    found = {renew_at(make_leaf(timedelta(days=90), sha256=f"{n:064x}"), None) for n in range(200)}
    assert len(found) == 200
    assert max(found) - min(found) > timedelta(hours=30)


def test_a_window_of_another_certificate_says_nothing() -> None:
    window = Window("cd", NOW, NOW + timedelta(days=1), NOW)
    leaf = make_leaf(timedelta(days=90))
    assert renew_at(leaf, window) == renew_at(leaf, None)


def test_a_window_in_the_past_is_due_now() -> None:
    leaf = make_leaf(timedelta(days=90))
    window = choose(leaf.sha256, NOW - timedelta(days=3), NOW - timedelta(days=2), "https://incident.example", None)
    action = next_action(replace(MEMORY, window=window), leaf, NOW)
    assert action is not None
    assert (action.kind, action.at <= NOW) == ("renew", True)


@PATIENT
@given(lifetimes, st.floats(0.0, 1.0), st.integers(1, 50))
def test_pauses_grow_and_leave_time_for_more_attempts(lifetime: timedelta, left: float, failures: int) -> None:
    leaf = make_leaf(lifetime, left)
    pause = pause_after(failures, leaf, NOW)
    assert timedelta(minutes=1) <= pause <= timedelta(days=1)
    assert pause <= pause_after(failures + 1, leaf, NOW)
    if left <= 1 / 20:
        assert pause <= timedelta(hours=1)


def test_the_pauses_are_those_of_the_authority_s_advice() -> None:
    leaf = make_leaf(timedelta(days=90), 1 / 3)
    minutes = [pause_after(n, leaf, NOW).total_seconds() / 60 for n in range(1, 6)]
    assert minutes == [1, 10, 100, 1440, 1440]
    assert pause_after(9, make_leaf(timedelta(days=90), 0.04), NOW) == timedelta(hours=1)
    assert pause_after(9, make_leaf(timedelta(days=90), 0.01), NOW) == timedelta(minutes=20)
    assert pause_after(9, make_leaf(timedelta(days=90), -0.5), NOW) == timedelta(days=1)


@PATIENT
@given(st.integers(1, 30), st.timedeltas(timedelta(), timedelta(days=30)))
def test_an_authority_is_not_asked_before_it_opens_again(failures: int, wait: timedelta) -> None:
    failure = Failure("rate_limited", "Later.", retry_at=NOW + wait)
    memory = replace(MEMORY, failures=failures, failed_at=NOW, failure=failure)
    at = retry_at(memory, make_leaf(timedelta(days=90), 0.3), NOW)
    assert at >= min(NOW + wait, NOW + timedelta(days=8))
    assert at <= NOW + timedelta(days=8)


def test_what_a_person_must_open_first_is_left_alone_for_a_day() -> None:
    failure = Failure("account_paused", "Paused.", url="https://portal.example")
    memory = replace(MEMORY, failures=1, failed_at=NOW, failure=failure)
    assert retry_at(memory, make_leaf(timedelta(days=90), 0.3), NOW) >= NOW + timedelta(days=1)


def test_a_renewal_that_a_person_asked_for_too_early_is_not_repeated_at_once() -> None:
    memory = replace(MEMORY, failures=1, failed_at=NOW)
    leaf = make_leaf(timedelta(days=90), 0.9)
    action = next_attempt(memory, leaf, NOW)
    assert action is not None
    assert action.at == renew_at(leaf, None)


def test_a_first_certificate_is_tried_again_and_not_for_ever() -> None:
    failed = replace(MEMORY, failures=1, failed_at=NOW)
    assert next_attempt(MEMORY, None, NOW) is None
    assert next_attempt(failed, None, NOW) is not None
    assert next_attempt(replace(failed, failures=FIRST_TRIES + 1), None, NOW) is None
    manual = replace(SPEC, dns=DnsCredential("1", "By hand", "manual"))
    assert next_attempt(replace(failed, spec=manual), None, NOW) is None


@pytest.mark.parametrize(
    "memory",
    [
        replace(MEMORY, spec=None),
        replace(MEMORY, spec=replace(SPEC, is_paused=True)),
        replace(MEMORY, source=Source.UPLOAD),
        replace(MEMORY, revoked_at=NOW),
    ],
)
def test_what_is_not_renewed_by_itself_has_no_next_action(memory: Memory) -> None:
    assert next_action(memory, make_leaf(timedelta(days=90), 0.01), NOW) is None


def test_renewal_information_is_asked_for_until_the_renewal_is_due() -> None:
    leaf = make_leaf(timedelta(days=90))
    first = next_action(MEMORY, leaf, NOW)
    assert first is not None
    assert (first.kind, first.at) == ("ask", NOW)
    later = next_action(replace(MEMORY, ask_at=NOW + timedelta(hours=6)), leaf, NOW)
    assert later is not None
    assert (later.kind, later.at) == ("ask", NOW + timedelta(hours=6))
    due = next_action(MEMORY, make_leaf(timedelta(days=90), 0.1), NOW)
    assert due is not None
    assert due.kind == "renew"


def test_staging_is_asked_first_after_a_failure_and_not_at_the_very_end() -> None:
    leaf = make_leaf(timedelta(days=90), 0.3)
    assert not plan(MEMORY, leaf, NOW).staging_first
    assert plan(replace(MEMORY, failures=1), leaf, NOW).staging_first
    assert not plan(replace(MEMORY, failures=1), make_leaf(timedelta(days=90), 0.01), NOW).staging_first


def test_another_authority_is_asked_after_two_refusals_or_when_little_is_left() -> None:
    early, late = make_leaf(timedelta(days=90), 0.3), make_leaf(timedelta(days=90), 0.09)
    asked = [plan(replace(MEMORY, refusals=n), early, NOW).authority for n in range(5)]
    assert asked == [MAIN, MAIN, OTHER, OTHER, MAIN]
    asked = [plan(replace(MEMORY, refusals=n), late, NOW).authority for n in range(3)]
    assert asked == [MAIN, OTHER, MAIN]
    alone = replace(MEMORY, spec=replace(SPEC, authorities=(MAIN,)), refusals=9)
    assert plan(alone, late, NOW).authority == MAIN


@PATIENT
@given(st.timedeltas(timedelta(minutes=2), timedelta(days=4000)))
def test_a_clock_that_went_back_leaves_nothing_waiting_for_the_future(jump: timedelta) -> None:
    future = NOW + jump
    memory = replace(MEMORY, failures=1, failed_at=future, last_attempt_at=future, ask_at=future + timedelta(days=2))
    healed = heal_clock(memory, NOW)
    assert healed.failed_at == healed.last_attempt_at == NOW
    assert healed.ask_at is None
    assert retry_at(healed, make_leaf(timedelta(days=90), 0.3), NOW) <= NOW + timedelta(minutes=2)
    assert heal_clock(healed, NOW) == healed
    assert heal_clock(MEMORY, NOW) is MEMORY
