"""Waits until every name server of a zone shows the values, and tells how far that is.
May import: agent.dns.lookup, agent.dns.patience, agent.dns.spec, agent.dns.texts, agent.dns.zones, agent.output."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from agent.dns.lookup import Lookup
from agent.dns.patience import pause
from agent.dns.spec import DnsFailure, Guard
from agent.dns.texts import texts_at
from agent.dns.zones import Place, Server
from agent.output import Output

_WORKERS = 8


@dataclass(frozen=True)
class Pace:
    """Seconds.

    `silent`: a server that says nothing for so long is left out. `no_ipv6`: the same where no IPv6 address ever
    answered but IPv4 ones do, because many machines have a way to IPv6 that leads nowhere. `doubled`: then a name
    that the provider doubled is looked for. `negative`: longer waits for a resolver's memory are of no use, because
    what counts is the authority's, of which we know nothing.
    """

    first_look: float = 0.2
    last_look: float = 5.0
    tell_every: float = 30.0
    silent: float = 60.0
    no_ipv6: float = 6.0
    doubled: float = 5.0
    negative: float = 60.0


@dataclass(frozen=True)
class Wanted:
    """A name and all values that must be seen there."""

    place: Place
    values: frozenset[str]


class _Sight(StrEnum):
    """What one server shows of one name."""

    SHOWN = "shows the record"
    MISSING = "does not show it yet"
    OTHER = "shows another value"
    SILENT = "does not answer"


@dataclass
class _Watch:
    """One server, one name."""

    wanted: Wanted
    server: Server
    sight: _Sight | None = None

    def look(self, lookup: Lookup) -> _Sight:
        """Asks once."""
        answer = lookup.ask_server(self.server.address, self.wanted.place.name, "TXT")
        if answer is None:
            return _Sight.SILENT
        texts = set(texts_at(answer, self.wanted.place.name))
        if self.wanted.values <= texts:
            return _Sight.SHOWN
        return _Sight.OTHER if texts else _Sight.MISSING


class Propagation:
    """The wait of one publication."""

    def __init__(
        self,
        wanted: Sequence[Wanted],
        lookup: Lookup,
        output: Output,
        guard: Guard,
        pace: Pace = Pace(),
    ) -> None:
        self._pace = pace
        self._wanted = wanted
        self._lookup = lookup
        self._output = output
        self._guard = guard
        self._began = time.monotonic()
        self._told = self._began
        self._doubled: str | None = None
        self._watches = [_Watch(one, server) for one in wanted for server in self._servers(one.place)]

    def wait(self, patience: float | None) -> None:
        """Returns when all servers show all values, and no resolver remembers that there was nothing.

        `patience` is in seconds; None waits as long as the guard allows. Raises DnsFailure when it ends
        (`record_not_seen`, or `dns_broken` when no server answers), and what the guard raises.
        """
        interval, pending = self._pace.first_look, self._watches
        while pending := self._look(pending):
            passed = time.monotonic() - self._began
            if patience is not None and passed > patience:
                raise self._failure(pending)
            if all(watch.sight is _Sight.SILENT for watch in pending) and passed > self._silence(pending):
                self._leave_out(pending)
                break
            if passed > self._pace.doubled and self._doubled is None:
                self._look_for_doubled(pending)
            self._tell(pending)
            pause(self._guard, interval)
            interval = min(interval * 1.5, self._pace.last_look)
        self._outlive_negatives()

    def _servers(self, place: Place) -> tuple[Server, ...]:
        if place.zone is not None and place.zone.servers:
            return place.zone.servers
        if self._lookup.settings.server:
            # A world without zones: the one server in it is all that the authority asks.
            return (Server("the authority's DNS server", self._lookup.settings.address[0]),)
        sentence = f"The name servers of {place.name} cannot be found."
        raise DnsFailure("dns_broken", sentence, "Look whether its zone is delegated, or wait a number of seconds.")

    def _look(self, pending: list[_Watch]) -> list[_Watch]:
        """Asks all at once, tells what changed, and returns those that are still to be waited for."""
        if not pending:
            return []
        with ThreadPoolExecutor(min(_WORKERS, len(pending))) as pool:
            sights = list(pool.map(lambda watch: watch.look(self._lookup), pending))
        for watch, sight in zip(pending, sights, strict=True):
            if sight is not watch.sight:
                line = f"{watch.server} {sight}: {watch.wanted.place.name}"
                (self._output.succeed if sight is _Sight.SHOWN else self._output.info)(line)
            watch.sight = sight
        return [watch for watch in pending if watch.sight is not _Sight.SHOWN]

    def _tell(self, pending: list[_Watch]) -> None:
        if time.monotonic() - self._told >= self._pace.tell_every:
            self._told = time.monotonic()
            self._output.info(self._summary(pending))

    def _summary(self, pending: list[_Watch]) -> str:
        name = pending[0].wanted.place.name
        mine = [watch for watch in self._watches if watch.wanted.place.name == name]
        shown = sum(watch.sight is _Sight.SHOWN for watch in mine)
        missing = ", ".join(f"{watch.server} {watch.sight}" for watch in mine if watch.sight is not _Sight.SHOWN)
        return f"{shown} of {len(mine)} name servers show the TXT record of {name}; {missing}."

    def _silence(self, pending: list[_Watch]) -> float:
        """Seconds until these are left out."""
        answered = [watch for watch in self._watches if watch.sight is not _Sight.SILENT]
        only_ipv6 = all(":" in watch.server.address for watch in pending)
        has_ipv6 = any(":" in watch.server.address for watch in answered)
        return self._pace.no_ipv6 if answered and only_ipv6 and not has_ipv6 else self._pace.silent

    def _leave_out(self, pending: list[_Watch]) -> None:
        """Servers that say nothing cannot say anything wrong, as long as others answer."""
        if len(pending) == len(self._watches):
            zone = pending[0].wanted.place.zone_name
            sentence = f"None of the name servers of {zone or 'this authority'} answers this machine."
            next_step = "Let it reach their port 53, or wait a number of seconds instead of asking them."
            raise DnsFailure("dns_broken", sentence, next_step, self._summary(pending))
        for watch in pending:
            self._output.warn(f"{watch.server} has not answered all the time and is left out.")

    def _look_for_doubled(self, pending: list[_Watch]) -> None:
        """Many forms append the zone to what is typed: _acme-challenge.example.com.example.com."""
        self._doubled = ""
        for watch in pending:
            place = watch.wanted.place
            doubled = f"{place.name}.{place.zone_name}"
            answer = self._lookup.ask_server(watch.server.address, doubled, "TXT") if place.zone_name else None
            if answer is not None and set(texts_at(answer, doubled)) & watch.wanted.values:
                self._doubled = doubled
                self._output.warn(f"The name was doubled: the record is at {doubled}. {self._cure(place)}")
                return

    def _failure(self, pending: list[_Watch]) -> DnsFailure:
        place = pending[0].wanted.place
        if self._doubled:
            sentence = f"The provider doubled the name: the record is at {self._doubled}."
            return DnsFailure("record_not_seen", sentence, self._cure(place), self._summary(pending))
        next_step = "Look whether the provider publishes it on all its name servers, then try again."
        return DnsFailure("record_not_seen", self._summary(pending), next_step)

    def _cure(self, place: Place) -> str:
        short = place.name.removesuffix(f".{place.zone_name}")
        return f"Enter the name as {short} there, without {place.zone_name}."

    def _outlive_negatives(self) -> None:
        """A resolver that said "there is nothing" goes on for the time that the zone's SOA allows (RFC 2308)."""
        names = [one.place.name for one in self._wanted]
        waits = [(self._lookup.negative_seconds(name), name) for name in names]
        seconds, name = max(waits, default=(0.0, ""))
        if seconds <= 0:
            return
        seconds = min(seconds, self._pace.negative)
        self._output.info(f"A resolver still remembers that {name} had no record; waiting {seconds:.0f} s for it.")
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(self._lookup.negative_seconds(name) > 0 for name in names):
            pause(self._guard, min(1.0, max(0.0, end - time.monotonic())))
