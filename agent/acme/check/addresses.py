"""The addresses of a name as an authority finds them, and what is wrong with them; and where nobody may be sent.
May import: agent.acme.{causes,spec}, agent.acme.check.{crew,lookup,names,surroundings}."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from agent.acme.causes import say
from agent.acme.check.crew import in_parallel
from agent.acme.check.lookup import Answer, Lookup, State
from agent.acme.check.names import as_address
from agent.acme.check.surroundings import Address, Question
from agent.acme.spec import Finding, Level

# Metadata services of clouds outside the link-local ranges: Alibaba, Oracle, Azure, AWS and Google over IPv6.
_METADATA = frozenset({"100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"})
KINDS = ("AAAA", "A")  # the order in which authorities try them
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Addresses:
    """What was found for one name. `is_sure` when its own name servers said it: this machine's resolver may see it as
    it is inside only. `partial` are addresses that some of its name servers do not know, and `elsewhere`
    what this machine's own resolver says when that is something else."""

    found: tuple[Address, ...] = ()
    state: State = State.NO_DATA
    partial: tuple[Address, ...] = ()
    elsewhere: tuple[Address, ...] = ()
    is_sure: bool = True


def may_connect(address: Address, question: Question) -> bool:
    """Whether the probe may speak to an address that a stranger's DNS record names. Never link-local or metadata
    addresses, whoever asks; loopback for a test authority only; private networks for an authority of one's own."""
    forms = [address, *_embedded(address)]
    for form in forms:
        if form.is_link_local or form.is_multicast or form.is_unspecified or str(form) in _METADATA:
            return False
        if form.is_loopback and not question.authority.is_test:
            return False
        if question.is_public and not form.is_global:
            return False
    return True


def find_addresses(name: str, lookup: Lookup, *, ask_owners: bool) -> Addresses:
    """IPv6 first, as authorities try them. With `ask_owners` the name servers of the domain decide, because resolvers
    may keep an old answer for hours."""
    literal = as_address(name)
    if literal is not None:
        return Addresses((literal,), State.FOUND)
    resolved, owned = _ask_all(name, lookup, ask_owners=ask_owners)
    if any(answer.state is State.BROKEN_DNSSEC for answer in resolved.values()):
        return Addresses((), State.BROKEN_DNSSEC)  # the domain's own servers check no signatures, authorities do
    certain = {kind: [a for a in owned[kind] if a.is_certain] or [resolved[kind]] for kind in owned}
    found = tuple(dict.fromkeys(address for kind in certain for answer in certain[kind] for address in _read(answer)))
    in_all = {a for kind in certain for a in set.intersection(*(set(_read(answer)) for answer in certain[kind]))}
    seen_here = tuple(address for kind in resolved for address in _read(resolved[kind]))
    states = [answer.state for kind in ("A", "AAAA") for answer in certain[kind]]
    return Addresses(
        found,
        State.FOUND if found else next((state for state in states if state is not State.NO_DATA), State.NO_DATA),
        tuple(address for address in found if address not in in_all),
        seen_here if seen_here and set(seen_here) != set(found) else (),
        is_sure=not ask_owners or all(any(a.is_certain for a in owned[kind]) for kind in owned),
    )


def _ask_all(name: str, lookup: Lookup, *, ask_owners: bool) -> tuple[dict[str, Answer], dict[str, Sequence[Answer]]]:
    """What the resolver and what the domain's own servers say, by kind; all asked at once."""
    askers: list[Callable[[str], Sequence[Answer]]] = [lambda kind: [lookup.ask(name, kind)]]
    if ask_owners:
        askers.append(lambda kind: lookup.ask_owners(name, kind))
    late: Sequence[Answer] = [Answer(State.SILENT)]
    answers = in_parallel([partial(asker, kind) for asker in askers for kind in KINDS], lookup.deadline, late)
    owned = answers[len(KINDS) :] or [[], []]
    return {kind: answers[n][0] for n, kind in enumerate(KINDS)}, dict(zip(KINDS, owned, strict=True))


def judge(name: str, addresses: Addresses, question: Question) -> list[Finding]:
    """Findings about one name's addresses; one OK when nothing is wrong with them."""
    if not addresses.found:
        return [missing(name, addresses, question)]
    found = [*_private(name, addresses, question), *_ipv6(name, addresses, question), *_doubts(name, addresses)]
    if not any(finding.level in {Level.ERROR, Level.WARNING} for finding in found):
        found.insert(0, Finding(Level.OK, "address", f"{name} leads to {list_some(addresses.found)}.", name))
    return found


def missing(name: str, addresses: Addresses, question: Question) -> Finding:
    """What is said of a name without an address, with the record that would lead here."""
    if addresses.state is State.SILENT:
        sentence = f"The name servers of {name} did not answer in time."
        return Finding(Level.WARNING, "address", sentence, name, say("dns_broken", name=name)[1], cause="dns_broken")
    if addresses.state in {State.BROKEN, State.BROKEN_DNSSEC}:
        sentence = f"The name servers of {name} give broken answers."
        if addresses.state is State.BROKEN_DNSSEC:
            sentence = f"The signatures (DNSSEC) of {name} are wrong, so nobody who checks them finds its address."
        return Finding(Level.ERROR, "address", sentence, name, say("dns_broken", name=name)[1], cause="dns_broken")
    own = _own_address(question)
    sentence, next_step = say("no_address", name=name)
    if addresses.state is State.NO_NAME:
        sentence = f"{name} does not exist in DNS yet."
    record = f"{name} {record_of(own)} {own}" if own else ""
    next_step = "Add this record, then try again." if own else next_step
    return Finding(Level.ERROR, "address", sentence, name, next_step, record, "no_address")


def _private(name: str, addresses: Addresses, question: Question) -> list[Finding]:
    private = [address for address in addresses.found if not address.is_global]
    if not private or not question.is_public:
        return []
    sentence = f"{name} leads to {list_some(private)}, which only a private network can reach."
    next_step = "Let it lead to the public address, or use the DNS check."
    level = Level.ERROR if addresses.is_sure and len(private) == len(addresses.found) else Level.WARNING
    return [Finding(level, "address", sentence, name, next_step, cause="private_address")]


def _ipv6(name: str, addresses: Addresses, question: Question) -> list[Finding]:
    versions = {address.version for address in addresses.found}
    if 6 not in versions or question.here.has_ipv6:
        return []
    sentence = f"{name} has an IPv6 address, but nginx does not listen on IPv6: this machine has none."
    if 4 in versions:
        next_step = f"Remove the AAAA record of {name}. Authorities try IPv6 first."
        return [Finding(Level.WARNING, "address", sentence, name, next_step, cause="ipv6_elsewhere")]
    return [Finding(Level.ERROR, "address", sentence, name, say("ipv6_only", name=name)[1], cause="ipv6_only")]


def _doubts(name: str, addresses: Addresses) -> list[Finding]:
    found = []
    if addresses.partial:
        sentence = f"Not all name servers of {name} know {list_some(addresses.partial)}."
        next_step = "Wait until they agree: an authority may ask any of them."
        found.append(Finding(Level.WARNING, "address", sentence, name, next_step, cause="dns_broken"))
    if addresses.elsewhere:
        sentence = (
            f"This machine's own resolver says {list_some(addresses.elsewhere)} for {name}, perhaps an old answer."
        )
        found.append(Finding(Level.INFO, "address", sentence, name))
    return found


def record_of(address: Address) -> str:
    """The kind of record that holds an address."""
    return "A" if address.version == 4 else "AAAA"


def _own_address(question: Question) -> Address | None:
    """What a new record should say: this machine's public IPv4 address, IPv6 where it has no other; loopback in the
    world of a test authority."""
    if question.authority.is_test:
        return ipaddress.IPv4Address("127.0.0.1")
    own = [a for a in question.here.own_addresses if not a.is_loopback and not a.is_link_local]
    usable = [a for a in own if a.is_global or (a.version == 4 and not question.is_public)]
    return min(usable, key=lambda address: address.version, default=None)


def _read(answer: Answer) -> list[Address]:
    return sorted((ipaddress.ip_address(record.to_text()) for record in answer.records), key=int)


def list_some(addresses: tuple[Address, ...] | list[Address]) -> str:
    """The first four of them, and how many more there are."""
    return ", ".join(map(str, addresses[:4])) + (f" and {len(addresses) - 4} more" if len(addresses) > 4 else "")


def _embedded(address: Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 one may stand for: mapped, 6to4, Teredo's server is none, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    last = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    found = [address.ipv4_mapped, address.sixtofour, last if address in _NAT64 else None]
    return [form for form in found if form is not None]
