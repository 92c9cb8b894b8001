"""What the authority's directory tells: whether it can be reached, what it wants of an account, what time it is.
May import: agent.acme.{causes,order,spec}, agent.acme.check.surroundings."""

from __future__ import annotations

from datetime import datetime

from agent.acme.causes import say
from agent.acme.check.surroundings import Question
from agent.acme.order import DirectoryFacts
from agent.acme.spec import AcmeFailure, Finding, Level

CLOCK_WARNING = 60.0  # seconds
CLOCK_ERROR = 3600.0  # authorities date certificates back by an hour, so that they are valid at once


def check_directory(question: Question, facts: DirectoryFacts) -> list[Finding]:
    """External account binding and profile, by what the directory says."""
    return _account(question, facts) + _profile(question, facts) or [
        Finding(Level.OK, "directory", f"{question.authority.label} can be reached.")
    ]


def check_clock(question: Question, facts: DirectoryFacts, at: datetime) -> list[Finding]:
    """This machine's clock, which said `at` when the directory came, against the Date header of the directory."""
    authority = question.authority.label
    if facts.date is None:
        sentence = f"The clock could not be compared: {authority} did not say what time it is."
        return [Finding(Level.INFO, "clock", sentence)]
    skew = (at - facts.date).total_seconds()
    if abs(skew) <= CLOCK_WARNING:
        return [Finding(Level.OK, "clock", f"This machine's clock agrees with that of {authority}.")]
    level = Level.ERROR if abs(skew) >= CLOCK_ERROR else Level.WARNING
    sentence = f"This machine's clock is {_span(abs(skew))} {'fast' if skew > 0 else 'slow'}, by that of {authority}."
    if skew < 0:
        sentence += " A new certificate would not be valid yet."
    return [Finding(level, "clock", sentence, next_step=say("clock")[1], cause="clock")]


def describe_failure(question: Question, failure: AcmeFailure | None) -> Finding:
    """Why there is no directory; None when it did not answer in time. With other authorities to fall back on it is no
    reason to stop."""
    others = [authority.label for authority in question.spec.authorities if authority is not question.authority]
    level = Level.WARNING if others or failure is None else Level.ERROR
    sentence, next_step = say("authority_unreachable", authority=question.authority.label)
    cause = "authority_unreachable"
    if failure is None:
        sentence = f"{question.authority.label} did not answer in time."
    else:
        sentence, next_step = failure.failure.sentence, failure.failure.next_step or next_step
        cause = failure.failure.cause
    if others:
        next_step = f"{next_step} {others[0]} is asked instead when it goes on like this."
    return Finding(level, "directory", sentence, next_step=next_step, cause=cause)


def _account(question: Question, facts: DirectoryFacts) -> list[Finding]:
    authority = question.authority
    if not facts.needs_binding or (authority.eab_kid and authority.eab_hmac_key):
        return []
    sentence, next_step = say("external_account", authority=authority.label)
    return [Finding(Level.ERROR, "directory", sentence, next_step=next_step, cause="external_account")]


def _profile(question: Question, facts: DirectoryFacts) -> list[Finding]:
    wanted, authority = question.spec.profile, question.authority.label
    if not wanted or wanted in facts.profiles:
        return []
    offered = f"It offers {', '.join(sorted(facts.profiles))}." if facts.profiles else "It offers none."
    sentence = f"{authority} does not know the profile {wanted}. {offered}"
    next_step = "Choose another profile, or none."
    return [Finding(Level.ERROR, "directory", sentence, next_step=next_step, cause="profile")]


def _span(seconds: float) -> str:
    for size, word in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (size == 60 and seconds >= 60):
            number = round(seconds / size)
            return f"{number} {word}{'' if number == 1 else 's'}"
    return f"{seconds:.0f} seconds"
