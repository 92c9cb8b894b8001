"""What an authority would get at each public address of a name, as far as it can be seen from this machine.
May import: agent.acme.{causes,spec}, agent.acme.check.{addresses,crew,lookup,probe,surroundings}."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from agent.acme.causes import say
from agent.acme.check.addresses import Addresses, find_addresses, may_connect
from agent.acme.check.crew import in_parallel
from agent.acme.check.lookup import Lookup
from agent.acme.check.probe import Result, Seen, Token, Way, ask
from agent.acme.check.surroundings import Address, Question
from agent.acme.spec import Finding, Level

MOST_ADDRESSES = 6


def check_public(name: str, addresses: Addresses, token: Token, question: Question, lookup: Lookup) -> list[Finding]:
    """Asks each address for the token, all at once. Nothing is found where nothing may be asked."""
    return judge(name, probe(name, addresses, token, question, lookup), question)


def probe(name: str, addresses: Addresses, token: Token, question: Question, lookup: Lookup) -> dict[Address, Seen]:
    """What each address that may be asked answers; all are asked at once."""
    allowed = [address for address in addresses.found if may_connect(address, question)][:MOST_ADDRESSES]
    calls = [partial(_ask, name, address, token, question, lookup) for address in allowed]
    return dict(zip(allowed, in_parallel(calls, question.deadline, Seen(Result.SILENT)), strict=True))


def judge(name: str, seen: dict[Address, Seen], question: Question) -> list[Finding]:
    """One finding for each address where something else than the token is; one OK when the token is everywhere."""
    good = [address for address, one in seen.items() if one.result is Result.SEEN]
    if seen and len(good) == len(seen):
        front = " Cloudflare stands in front of it." if any(one.is_cloudflare for one in seen.values()) else ""
        return [Finding(Level.OK, "public", f"{name} is reached at {', '.join(map(str, good))}.{front}", name)]
    bad = {address: one for address, one in seen.items() if one.result is not Result.SEEN}
    return [_explain(name, address, one, good, question) for address, one in bad.items()]


def _explain(name: str, address: Address, seen: Seen, good: list[Address], question: Question) -> Finding:
    authority = question.authority.label
    if seen.result is Result.LOOP:
        return _finding(Level.ERROR, name, say("redirect_loop", name=name), "redirect_loop")
    if seen.result is Result.BAD_REDIRECT:
        sentence, next_step = say("bad_redirect", name=name, authority=authority)
        return _finding(Level.ERROR, name, (f"{sentence} ({seen.location})", next_step), "bad_redirect")
    if seen.result is Result.FORBIDDEN:
        sentence = f"{address} redirects the check of {name} to {seen.location}, where this machine may not look."
        return Finding(Level.INFO, "public", sentence, name)
    if seen.result is Result.OTHER:
        return _other_site(name, address, seen, good, question)
    return _no_answer(name, address, seen, question)


def _other_site(name: str, address: Address, seen: Seen, good: list[Address], question: Question) -> Finding:
    """Behind a router that translates addresses its own pages may answer, so nothing is sure there."""
    level = Level.WARNING if is_behind_nat(question) and not _is_here(address, question) else Level.ERROR
    if seen.is_cloudflare:
        return _finding(level, name, say("behind_cloudflare", name=name), "behind_cloudflare")
    answer = f"answers {seen.status} and not the token" if seen.status else "speaks no HTTP"
    what = f"{name} leads to {address}, where {seen.server or 'a web server'} {answer}."
    if good and address.version == 6 and all(other.version == 4 for other in good):
        sentence = (
            f"The IPv6 address {address} of {name} leads to another machine."
            f" {question.authority.label} tries IPv6 first."
        )
        return _finding(level, name, (sentence, say("ipv6_elsewhere", name=name)[1]), "ipv6_elsewhere")
    if good:
        return _finding(level, name, (what, say("several_machines", name=name)[1]), "several_machines")
    return _finding(level, name, (what, say("points_elsewhere", name=name)[1]), "points_elsewhere")


def _no_answer(name: str, address: Address, seen: Seen, question: Question) -> Finding:
    port, here = question.http_port, _is_here(address, question)
    verb = "refuses connections to" if seen.result is Result.REFUSED else "does not answer on"
    sentence = f"{address} {verb} port {port}, where {question.authority.label} will ask for {name}."
    if here and seen.result is Result.REFUSED and question.here.config.http_port == port:
        return _finding(Level.ERROR, name, (sentence, say("port_closed", name=name)[1]), "port_closed")
    if not here and is_behind_nat(question):
        sentence += " From inside this network that proves nothing: many routers do not let it ask its own address."
        return Finding(Level.INFO, "public", sentence, name, cause="port_closed")
    return _finding(Level.WARNING, name, (sentence, say("port_closed", name=name)[1]), "port_closed")


def _finding(level: Level, name: str, words: tuple[str, str], cause: str) -> Finding:
    return Finding(level, "public", words[0], name, words[1], cause=cause)


def _is_here(address: Address, question: Question) -> bool:
    return address in question.here.own_addresses


def is_behind_nat(question: Question) -> bool:
    """Whether this machine has no public address of its own, so that a router must translate."""
    return not question.authority.is_test and not any(address.is_global for address in question.here.own_addresses)


def _ask(name: str, address: Address, token: Token, question: Question, lookup: Lookup) -> Seen:
    def find(host: str) -> Address | None:
        """The name itself stays at the address that is looked at; a redirect may lead to another name."""
        if host in {name, str(address)}:
            return address
        return next(_elsewhere(host, question, lookup), None)

    port, config = question.http_port, question.here.config
    test_ports = {config.http_port, config.https_port} if question.authority.is_test else set()
    way = Way(find, frozenset({80, 443, port, *test_ports}), question.deadline)
    host = f"[{name}]" if ":" in name else name
    return ask(f"http://{host}{f':{port}' if port != 80 else ''}{token.url_path}", token, way)


def _elsewhere(host: str, question: Question, lookup: Lookup) -> Iterator[Address]:
    found: Callable[[], Addresses] = partial(find_addresses, host, lookup, ask_owners=False)
    yield from (address for address in found().found if may_connect(address, question))
