"""When to do what about a certificate: pure functions of what is remembered, of the certificate and of the time.
May import: agent.acme.{causes,leaf,spec,state}."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agent.acme.causes import CAUSES
from agent.acme.leaf import Leaf
from agent.acme.spec import Authority, Failure
from agent.acme.state import Memory, Source, Window

# Let's Encrypt's integration guide: renew at a third of the lifetime, at half of one shorter than ten days.
_SHORT = timedelta(days=10)
# What is left of the lifetime, as a divisor: other authorities are asked; renewal information and long pauses no longer
# count; staging is no longer asked first.
FALL_BACK, EMERGENCY, LAST = 10, 20, 50
_BACK_OFF = (timedelta(minutes=1), timedelta(minutes=10), timedelta(minutes=100))
_DAY, _HOUR, _LAST_PAUSE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=20)
# Longer than any authority sends somebody away.
_LONGEST_WAIT = timedelta(days=8)
# RFC 9773 section 4.3.2: at most a day between two looks.
LONGEST_ASK = timedelta(hours=24)
# How often a first certificate is tried by itself: somebody waits for it, and then nobody does any more.
FIRST_TRIES = 10
REFUSALS = 2


@dataclass(frozen=True)
class Action:
    """What is due, and when: "renew", "retry" or "ask" (for renewal information)."""

    kind: str
    at: datetime


@dataclass(frozen=True)
class Plan:
    """Whom to ask, and whether its staging is asked before it."""

    authority: Authority
    staging_first: bool


def spread(text: str) -> float:
    """From 0 up to 1, always the same for one text: jitter that needs no memory."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]) / (1 << 48)


def choose(sha256: str, start: datetime, end: datetime, url: str, known: Window | None) -> Window | None:
    """The window with a moment in it (RFC 9773, section 4.2). The same window keeps its moment. None for a window that
    ends before it begins."""
    if end <= start:
        return None
    if known and (known.sha256, known.start, known.end) == (sha256, start, end):
        return replace(known, url=url)
    return Window(sha256, start, end, start + (end - start) * spread(sha256), url)


def renew_at(leaf: Leaf, window: Window | None) -> datetime:
    """The moment for the next renewal: that of the window, but never later than the emergency."""
    emergency = leaf.not_after - leaf.lifetime / EMERGENCY
    if window and window.sha256 == leaf.sha256:
        return min(window.chosen, emergency)
    share = 2 if leaf.lifetime < _SHORT else 3
    ideal = leaf.not_after - leaf.lifetime / share
    return ideal + leaf.lifetime / 50 * (spread(leaf.sha256) - 0.5)


def pause_after(failures: int, leaf: Leaf | None, now: datetime) -> timedelta:
    """How long to wait after so many failures in a row: 1, 10 and 100 minutes, then a day; less when little is left."""
    pause = _BACK_OFF[failures - 1] if failures <= len(_BACK_OFF) else _DAY
    if leaf is None:
        return pause
    distance = abs(leaf.not_after - now)  # an ended certificate is as urgent as one that ends soon
    if distance <= leaf.lifetime / LAST:
        return min(pause, _LAST_PAUSE)
    if distance <= leaf.lifetime / EMERGENCY:
        return min(pause, _HOUR)
    return min(pause, max(_HOUR, distance / 8))


def retry_at(memory: Memory, leaf: Leaf | None, now: datetime) -> datetime:
    """When a failed attempt is tried again: after the pause, and not before the authority opens again. An authority
    that wants a person to open a page is left alone for a day."""
    failed_at = memory.failed_at or now
    pause = pause_after(memory.failures, leaf, failed_at)
    if memory.failure and _needs_decision(memory.failure):
        pause = max(pause, _DAY)
    at = failed_at + pause * (1 + 0.1 * spread(f"{memory.name} {memory.failures}"))
    opens = memory.failure.retry_at if memory.failure else None
    return max(at, min(opens, failed_at + _LONGEST_WAIT)) if opens else at


def next_attempt(memory: Memory, leaf: Leaf | None, now: datetime) -> Action | None:
    """The next renewal or retry; None for what is not renewed by itself."""
    if memory.source is not Source.ACME or memory.spec is None or memory.spec.is_paused or memory.revoked_at:
        return None
    if memory.install:
        return Action("retry", now)  # it was cut off
    if leaf is None:
        is_tried = 0 < memory.failures <= FIRST_TRIES and not _needs_person(memory)
        return Action("retry", retry_at(memory, None, now)) if is_tried else None
    due = renew_at(leaf, memory.window)
    if memory.failures:
        return Action("retry", max(due, retry_at(memory, leaf, now)))
    return Action("renew", due)


def next_action(memory: Memory, leaf: Leaf | None, now: datetime) -> Action | None:
    """The attempt, or before it a look at the renewal information."""
    attempt = next_attempt(memory, leaf, now)
    if attempt is None or leaf is None or attempt.at <= now:
        return attempt
    ask_at = memory.ask_at or now
    return Action("ask", ask_at) if ask_at < attempt.at else attempt


def plan(memory: Memory, leaf: Leaf | None, now: datetime) -> Plan:
    """Another authority after two refusals, or after each when a tenth of the lifetime is left. Staging first after a
    failure, so that a fault which stays costs nothing at the authority; not when the end is near."""
    authorities = memory.spec.authorities if memory.spec else ()
    left = (leaf.not_after - now) / leaf.lifetime if leaf else 1.0
    turn = memory.refusals if left < 1 / FALL_BACK else memory.refusals // REFUSALS
    authority = authorities[turn % len(authorities)]
    is_last = left < 1 / LAST
    return Plan(authority, bool(memory.failures and authority.staging_directory_url and not is_last))


def heal_clock(memory: Memory, now: datetime) -> Memory:
    """After the clock went back: what lies in a future that cannot be becomes now, so that nothing waits for it."""
    minute = timedelta(minutes=1)
    changes: dict[str, datetime | None] = {
        name: now
        for name in ("failed_at", "last_attempt_at", "issued_at", "asked_at")
        if (at := getattr(memory, name)) and at > now + minute
    }
    if memory.ask_at and memory.ask_at > now + LONGEST_ASK + minute:
        changes["ask_at"] = None
    return replace(memory, **changes) if changes else memory  # type: ignore[arg-type]


def _needs_decision(failure: Failure) -> bool:
    """Whether trying again is of no use before somebody changes something at the authority or in the spec."""
    known = CAUSES.get(failure.cause)
    return bool(failure.url) or (known is not None and known.needs_person)


def _needs_person(memory: Memory) -> bool:
    """Whether each attempt waits for somebody who adds a record."""
    return bool(memory.spec and memory.spec.dns and memory.spec.dns.provider == "manual")
