"""Puts the TXT records of an order into DNS, waits until they are seen, and takes them away again in every case.
May import: agent.dns and below. Imported late: dnspython comes with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agent.dns.credential import DnsCredential
from agent.dns.lookup import Lookup
from agent.dns.patience import Deadline, pause
from agent.dns.propagation import Propagation, Wanted
from agent.dns.provider import Provider
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
    lookup = Lookup(resolver)
    provider = open_provider(credential, output, guard)
    added: list[tuple[Place, TxtRecord]] = []
    try:
        for record in dict.fromkeys(records):
            _add(provider, record, lookup, output, added)
        _wait(provider, added, lookup, output, guard, propagation_seconds)
        yield
    finally:
        if added:
            _clean(credential, added, output)


def _add(
    provider: Provider, record: TxtRecord, lookup: Lookup, output: Output, added: list[tuple[Place, TxtRecord]]
) -> None:
    place = locate(record.name, lookup)
    if place.hops:
        output.info(f"{record.name} is delegated to {place.name}")
    if provider.needs_zone and place.zone is None:
        sentence = f"No name server knows a zone for {place.name}."
        raise DnsFailure("dns_broken", sentence, "Look whether the domain is registered and delegated.")
    target = TxtRecord(place.name, record.value)
    # Remembered before it is done: a call that fails may have done it.
    added.append((place, target))
    provider.add(place.zone_name, target)
    if provider.can_read:
        output.info(f"Added TXT {target.name} in zone {place.zone_name}")


def _wait(
    provider: Provider,
    added: Sequence[tuple[Place, TxtRecord]],
    lookup: Lookup,
    output: Output,
    guard: Guard,
    seconds: int,
) -> None:
    if seconds:
        output.info(f"Waiting {seconds} s, as the certificate asks for, instead of asking the name servers")
        pause(guard, seconds)
        return
    places = {place.name: place for place, _ in added}
    wanted = [
        Wanted(place, frozenset(record.value for _, record in added if record.name == name))
        for name, place in places.items()
    ]
    Propagation(wanted, lookup, output, guard).wait(provider.patience)


def _clean(credential: DnsCredential, added: Sequence[tuple[Place, TxtRecord]], output: Output) -> None:
    """With a guard of its own: neither a cancel nor a time-out is a reason to leave something behind."""
    output.stage("cleanup", "Removing the TXT records")
    deadline = Deadline(CLEANUP_SECONDS)
    for place, record in added:
        try:
            provider = open_provider(credential, output, deadline)
            provider.remove(place.zone_name, record)
        except AgentError as error:
            output.warn(f"This record could not be removed; remove it by hand: {record}. {error.message}")
            continue
        if provider.can_remove:
            output.info(f"Removed {record}")
