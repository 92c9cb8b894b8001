"""What this agent asked for before, against the limits that Let's Encrypt publishes. Nobody is asked.
May import: agent.acme.{causes,spec}, agent.acme.check.{names,suffixes,surroundings}."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.acme.causes import say
from agent.acme.check.names import base_of
from agent.acme.check.suffixes import registered_domain
from agent.acme.check.surroundings import Question
from agent.acme.spec import Finding, Level


@dataclass(frozen=True)
class Bucket:
    """A token bucket: so many at once, and one more after each `refill`."""

    size: int
    refill: timedelta

    @property
    def span(self) -> timedelta:
        """After which nothing that happened counts any more."""
        return self.size * self.refill

    def opens_at(self, times: Sequence[datetime], now: datetime) -> datetime | None:
        """When the next token is there; None when there is one now. What others took is unknown, so it may be later."""
        missing = 0.0  # tokens
        before = now
        for number, moment in enumerate(sorted(times)):
            missing = max(0.0, missing - (moment - before) / self.refill) + 1 if number else 1.0
            before = moment
        missing = max(0.0, missing - (now - before) / self.refill)
        lacking = missing - (self.size - 1)
        return now + lacking * self.refill if lacking > 1e-9 else None


# https://letsencrypt.org/docs/rate-limits/ of 2026
DUPLICATES = Bucket(5, timedelta(days=7) / 5)
PER_DOMAIN = Bucket(50, timedelta(days=7) / 50)
FAILURES = Bucket(5, timedelta(hours=1) / 5)


def check_limits(question: Question) -> list[Finding]:
    """An error for each limit that is reached, with when it opens; nothing for authorities whose limits are unknown."""
    if not question.is_lets_encrypt or "staging" in question.authority.directory_url:
        return []
    found = [*_duplicates(question), *_domains(question), *_failures(question)]
    return found or [Finding(Level.OK, "limits", f"The limits of {question.authority.label} leave room.")]


def _duplicates(question: Question) -> Iterator[Finding]:
    wanted = sorted(question.spec.names)
    times = [at for names, at in _issues(question, DUPLICATES) if sorted(names) == wanted]
    opens = DUPLICATES.opens_at(times, question.here.now())
    if opens is not None:
        label = question.authority.label
        sentence = f"{label} issued this same certificate {len(times)} times in 7 days. {_when(opens)}"
        yield _error("", sentence, "duplicate_limit")


def _domains(question: Question) -> Iterator[Finding]:
    wanted = sorted(question.spec.names)
    since = question.here.now() - timedelta(days=100)
    earlier = question.here.issues_since(question.authority.directory_url, since)
    if any(sorted(names) == wanted for names, _ in earlier):
        return  # the same names again do not count against the domain
    issues = _issues(question, PER_DOMAIN)
    for domain in sorted({registered_domain(base_of(name)) for name in question.spec.names}):
        times = [at for names, at in issues if domain in {registered_domain(base_of(name)) for name in names}]
        opens = PER_DOMAIN.opens_at(times, question.here.now())
        if opens is not None:
            label = question.authority.label
            sentence = f"{label} issued {len(times)} certificates for {domain} in 7 days. {_when(opens)}"
            yield _error(domain, sentence, "domain_limit")


def _failures(question: Question) -> Iterator[Finding]:
    now = question.here.now()
    failures = question.here.failures_since(question.authority.directory_url, now - FAILURES.span)
    for name in question.spec.names:
        times = [at for names, at in failures if name in names]
        opens = FAILURES.opens_at(times, now)
        if opens is not None:
            sentence = f"The check of {name} failed {len(times)} times within an hour. {_when(opens)}"
            yield _error(name, sentence, "failure_limit")


def _issues(question: Question, bucket: Bucket) -> Sequence[tuple[Sequence[str], datetime]]:
    since = question.here.now() - bucket.span
    return question.here.issues_since(question.authority.directory_url, since)


def _error(subject: str, sentence: str, cause: str) -> Finding:
    return Finding(Level.ERROR, "limits", sentence, subject, say(cause)[1], cause=cause)


def _when(opens: datetime) -> str:
    return f"It opens again at {opens:%H:%M} UTC on {opens:%A, %-d %B}."
