"""For DNS-01: where the record of a name really goes, and whether the credential gets there.
May import: agent.dns, agent.acme.{causes,spec}, agent.acme.check.{lookup,names,surroundings}, agent.nginx.guard."""

from __future__ import annotations

import time

from agent.acme.causes import say
from agent.acme.check.lookup import Lookup, State
from agent.acme.check.names import base_of
from agent.acme.check.surroundings import Question
from agent.acme.spec import Finding, Level
from agent.dns.registry import open_provider
from agent.dns.spec import DnsFailure
from agent.nginx.guard import Guard
from agent.output import Output, clean

LABEL = "_acme-challenge"


def check_delegation(name: str, lookup: Lookup) -> list[Finding]:
    """Whether the challenge's name answers at all, and where a CNAME record leads it."""
    challenge = f"{LABEL}.{base_of(name)}"
    answer = lookup.ask(challenge, "TXT")
    if answer.state in {State.BROKEN, State.BROKEN_DNSSEC}:
        sentence, next_step = say("dns_broken", name=name)
        return [Finding(Level.ERROR, "dns", sentence, name, next_step, cause="dns_broken")]
    if answer.state is State.SILENT:
        sentence = f"The name servers of {challenge} did not answer in time."
        return [Finding(Level.WARNING, "dns", sentence, name, say("dns_broken", name=name)[1], cause="dns_broken")]
    if answer.aliases:
        sentence = f"{challenge} is an alias: the record is written at {clean(answer.aliases[-1])}."
        return [Finding(Level.INFO, "dns", sentence, name)]
    return []


def check_credential(question: Question, lookup: Lookup) -> list[Finding]:
    """Reads the list of zones by the credential; writes nothing."""
    credential = question.spec.dns
    if credential is None:
        sentence = "The DNS check needs a DNS credential, and none is chosen."
        return [_error("", sentence, "Choose a DNS credential.")]
    output = Output("", None, lambda _: None)
    try:
        provider = open_provider(credential, output, Guard(time.monotonic() + question.deadline.remaining()))
        zones = provider.zones()
    except DnsFailure as failure:
        level = Level.ERROR if failure.cause == "dns_credential" else Level.WARNING
        return [Finding(level, "dns", failure.message, next_step=failure.next_step, cause="dns_credential")]
    if not zones:
        return [Finding(Level.INFO, "dns", f"{credential.label} is ready; its provider does not tell its zones.")]
    missing = [_outside(name, zones, lookup) for name in dict.fromkeys(map(base_of, question.spec.names))]
    return [finding for finding in missing if finding] or [
        Finding(Level.OK, "dns", f"{credential.label} may write the records of all names.")
    ]


def _outside(name: str, zones: list[str], lookup: Lookup) -> Finding | None:
    challenge = f"{LABEL}.{name}"
    place = (lookup.ask(challenge, "TXT").aliases or (challenge,))[-1]
    if any(place == zone or place.endswith(f".{zone}") for zone in zones):
        return None
    sentence = f"The DNS credential has no zone for {clean(place)}; it reaches {', '.join(sorted(zones)[:5])}."
    return _error(name, sentence, say("dns_credential", name=name)[1])


def _error(subject: str, sentence: str, next_step: str) -> Finding:
    return Finding(Level.ERROR, "dns", sentence, subject, next_step, cause="dns_credential")
