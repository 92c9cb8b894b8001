"""Where names lead to: to this machine or elsewhere, for who sets up a host. No authority is asked or meant.
May import: agent.acme.{http01,spec}, agent.acme.check, agent.dns.spec."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from agent.acme.check.addresses import Addresses, find_addresses, list_some, may_connect, missing, record_of
from agent.acme.check.crew import in_parallel
from agent.acme.check.lookup import Lookup
from agent.acme.check.probe import Result, Token
from agent.acme.check.public import is_behind_nat, probe
from agent.acme.check.surroundings import Address, Deadline, NameServers, Question, Surroundings
from agent.acme.http01 import FOLDER, TokenFiles
from agent.acme.spec import Authority, CertificateSpec, Finding, Level
from agent.dns.spec import DnsSettings

MOST_NAMES = 20  # that are looked up at once
_WILDCARD_PROBE = "waypost-check"  # a name that a wildcard stands for


@dataclass(frozen=True)
class World:
    """Whose DNS counts: everybody's, or that of a test authority (`dns_server`), where loopback may be asked too."""

    dns_server: str = ""
    is_test: bool = False


def look_up(names: Sequence[str], world: World, here: Surroundings) -> list[Finding]:
    """One finding for each of the first MOST_NAMES names. OK names the record that leads here; a warning the record to
    set, where this machine knows its own address.

    Takes `here.seconds` at most. An address is "here" when this machine has it, or when it answers with a token that
    lies in this machine's webroot; nothing but that token is asked for, and only where `may_connect` lets it."""
    authority = Authority("", "", "", is_test=world.is_test, dns_server=world.dns_server)
    question = Question(CertificateSpec("", tuple(names), (authority,)), authority, here, Deadline(here.seconds))
    servers = NameServers((DnsSettings(world.dns_server).address,)) if world.dns_server else here.name_servers
    lookup = Lookup(servers, question.deadline, lambda address: may_connect(address, question))
    with ExitStack() as stack:
        token = _write_token(here, stack)
        calls: list[Callable[[], Finding | None]] = [
            partial(_look, name, question, lookup, token) for name in names[:MOST_NAMES]
        ]
        found = in_parallel(calls, question.deadline, None)
    return [one or _late(name) for name, one in zip(names, found, strict=False)]


def _late(name: str) -> Finding:
    return Finding(Level.INFO, "address", f"Where {name} leads to could not be found out in time.", name)


def _write_token(here: Surroundings, stack: ExitStack) -> Token | None:
    """None when the webroot cannot be written: then only this machine's own addresses are known to be here."""
    name, text = secrets.token_urlsafe(24), secrets.token_urlsafe(32)
    try:
        stack.enter_context(TokenFiles(here.webroot)).write(name, text)
    except OSError:
        return None
    return Token(f"/{FOLDER}/{name}", text)


def _look(name: str, question: Question, lookup: Lookup, token: Token | None) -> Finding:
    addresses = find_addresses(name, lookup, ask_owners=not question.authority.dns_server)
    if not addresses.found:
        finding = missing(name, addresses, question)
        return replace(finding, level=min(finding.level, Level.WARNING, key=_weight))
    own = [address for address in addresses.found if address in question.here.own_addresses]
    others = [address for address in addresses.found if address not in own]
    reached, front = _reach(name, others, question, lookup, token)
    return _judge(name, addresses, [*own, *reached], front, question)


def _reach(
    name: str, others: list[Address], question: Question, lookup: Lookup, token: Token | None
) -> tuple[list[Address], str]:
    """The addresses that answer with this machine's token, and what stands in front of it."""
    if token is None or not others:
        return [], ""
    asked = name.replace("*", _WILDCARD_PROBE, 1)
    seen = probe(asked, Addresses(tuple(others)), token, question, lookup)
    reached = [address for address, one in seen.items() if one.result is Result.SEEN]
    return reached, ", through Cloudflare" if any(one.is_cloudflare for one in seen.values()) else ""


def _judge(name: str, addresses: Addresses, here: list[Address], front: str, question: Question) -> Finding:
    rest = [address for address in addresses.found if address not in here]
    if not rest:
        kind, first = record_of(here[-1]), here[-1]
        return Finding(Level.OK, "address", f"{name} points here{front}.", name, record=f"{name} {kind} {first}")
    if here:
        sentence = f"{name} points here ({list_some(here)}), and also to {list_some(rest)}, where this machine is not."
        next_step = f"Remove that {record_of(rest[0])} record, unless another machine serves this name too."
        return Finding(Level.WARNING, "address", sentence, name, next_step)
    return _elsewhere(name, rest, question)


def _elsewhere(name: str, rest: list[Address], question: Question) -> Finding:
    record = missing(name, Addresses(), question).record
    sentence = f"{name} points to {list_some(rest)}, where this machine was not found."
    unless = "leave it when a router or another proxy there passes requests on to this machine."
    next_step = f"Set this record instead, or {unless}" if record else f"Change the record, or {unless}"
    if is_behind_nat(question):
        sentence += " From inside this network that proves little: many routers do not let it ask its own address."
        return Finding(Level.INFO, "address", sentence, name, next_step, record)
    return Finding(Level.WARNING, "address", sentence, name, next_step, record)


def _weight(level: Level) -> int:
    return (Level.OK, Level.INFO, Level.WARNING, Level.ERROR).index(level)
