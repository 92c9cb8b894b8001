"""Puts the TXT records of an order into DNS, waits until they are seen, and takes them away again in every case.
May import: agent.dns and below. Imported late: dnspython comes with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agent.dns.credential import DnsCredential
from agent.dns.lookup import Lookup
from agent.dns.patience import Deadline, pause
from agent.dns.propagation import Propagation, Wanted
from agent.dns.registry import open_provider
from agent.dns.spec import DnsFailure, DnsSettings, Guard, TxtRecord
from agent.dns.zones import Place, locate
from agent.errors import AgentError
from agent.output import Output

CLEANUP_SECONDS = 60.0


@contextmanager
def publish(
    credential: DnsCredential,
    records: Sequence[TxtRecord],
    output: Output,
    guard: Guard,
    *,
    propagation_seconds: int = 0,
    resolver: DnsSettings = DnsSettings(),  # noqa: B008 - frozen
) -> Iterator[None]:
    """Within it, all name servers show all records (`_acme-challenge.example.com` and its value).

    CNAMEs are followed first. Values are added beside those that are there, so that a name and its wildcard can be
    checked together; adding one again after a crash changes nothing. With `propagation_seconds` it waits so long
    instead of asking. When it ends, however it ends, exactly these values are removed; what cannot be removed is
    told as a warning and hides nothing. Raises DnsFailure, and what the guard raises.
    """
    publication = _Publication(credential, Lookup(resolver), output, guard)
    try:
        publication.add(records)
        publication.wait(propagation_seconds)
        yield
    finally:
        publication.clean()


def withdraw(
    credential: DnsCredential,
    records: Sequence[TxtRecord],
    output: Output,
    *,
    resolver: DnsSettings = DnsSettings(),  # noqa: B008 - frozen
) -> None:
    """Removes what an agent that was killed inside `publish` may have left. Never fails: it tells warnings."""
    try:
        publication = _Publication(credential, Lookup(resolver), output, Deadline(CLEANUP_SECONDS))
        publication.expect(records)
    except DnsFailure as error:
        output.warn(f"Records of an earlier try may be left in DNS: {error.message}")
        return
    publication.clean()


class _Publication:
    """The records of one order."""

    def __init__(self, credential: DnsCredential, lookup: Lookup, output: Output, guard: Guard) -> None:
        self._credential = credential
        self._lookup = lookup
        self._output = output
        self._guard = guard
        self._provider = open_provider(credential, output, guard)
        self._added: list[tuple[Place, TxtRecord]] = []

    def add(self, records: Sequence[TxtRecord]) -> None:
        """Where each one leads."""
        for record in dict.fromkeys(records):
            place = self._place(record)
            if place.hops:
                self._output.info(f"{record.name} is delegated to {place.name}")
            self._add(place, TxtRecord(place.name, record.value))

    def _place(self, record: TxtRecord) -> Place:
        place = locate(record.name, self._lookup)
        if self._provider.needs_zone and place.zone is None:
            sentence = f"No name server knows a zone for {place.name}."
            raise DnsFailure("dns_broken", sentence, "Look whether the domain is registered and delegated.")
        return place

    def expect(self, records: Sequence[TxtRecord]) -> None:
        """Takes these for added."""
        self._added += [(place, TxtRecord(place.name, r.value)) for r in records for place in [self._place(r)]]

    def _add(self, place: Place, record: TxtRecord) -> None:
        most = self._provider.most_values
        if most and sum(other.name == place.name for other, _ in self._added) >= most:
            sentence = f"{self._provider.offer.label} keeps {most} values of one name, and more lead to {place.name}."
            raise DnsFailure("dns_credential", sentence, "Ask for fewer names in one certificate.")
        # Remembered before it is done: a call that fails may have done it.
        self._added.append((place, record))
        self._provider.add(place.zone_name, record)
        if self._provider.can_read:
            self._output.info(f"Added a TXT record at {record.name} in zone {place.zone_name}")

    def wait(self, seconds: int) -> None:
        """For the servers, or for so many seconds."""
        if seconds:
            self._output.info(f"Waiting {seconds} s instead of asking the name servers, as the certificate says")
            pause(self._guard, seconds)
            return
        wanted = [
            Wanted(place, frozenset(record.value for _, record in self._added if record.name == place.name))
            for place in {place.name: place for place, _ in self._added}.values()
        ]
        Propagation(wanted, self._lookup, self._output, self._guard).wait(self._provider.patience)

    def clean(self) -> None:
        """With a guard of its own: neither a cancel nor a time-out is a reason to leave something behind."""
        if not self._added:
            return
        self._output.stage("cleanup", "Removing the TXT records")
        deadline = Deadline(CLEANUP_SECONDS)
        for place, record in self._added:
            try:
                provider = open_provider(self._credential, self._output, deadline)
                provider.remove(place.zone_name, record)
            except AgentError as error:
                self._output.warn(f"This record could not be removed; remove it by hand: {record}. {error.message}")
                continue
            if provider.can_remove:
                self._output.info(f"Removed {record}")
