"""The check of a credential: a record of our own is written, read and removed. Imported late.
May import: agent.dns and below."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress

from agent.dns.credential import DnsCredential
from agent.dns.lookup import Lookup
from agent.dns.patience import Deadline
from agent.dns.provider import Provider
from agent.dns.registry import open_provider
from agent.dns.spec import CredentialCheck, DnsFailure, DnsSettings, TxtRecord
from agent.dns.zones import Place, locate
from agent.errors import AgentError
from agent.output import Output

CLEANUP_SECONDS = 10.0
_MAX_ZONES = 200
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def check(credential: DnsCredential, zone: str, resolver: DnsSettings, guard: Deadline) -> CredentialCheck:
    """See agent.dns.check."""
    name = zone.strip().rstrip(".").lower().removeprefix("*.")
    try:
        provider = open_provider(credential, Output("", None, _nobody), guard, settle=False)
        if provider.patience is None:
            return CredentialCheck(ok=True, sentence="Nothing to check: the job shows each record to add.")
        if name and not _NAME.fullmatch(name):
            return CredentialCheck(ok=False, sentence="Zone: use a domain such as example.com.")
        return check_provider(provider, name, Lookup(resolver), guard)
    except AgentError as error:
        return CredentialCheck(ok=False, sentence=_sentence(error))


def check_provider(provider: Provider, name: str, lookup: Lookup, guard: Deadline | None = None) -> CredentialCheck:
    """Raises DnsFailure, and what the guard of the provider raises; `guard` is that one when it can be extended."""
    if not name:
        return _check_account(provider)
    place = _place(name, lookup)
    _write_and_remove(provider, place, guard)
    where = f"zone {place.zone_name}" if provider.needs_zone else place.name
    via = f" (_acme-challenge.{name} leads there)" if place.hops else ""
    verb = "can edit" if provider.can_read else "accepts records of"
    return CredentialCheck(ok=True, sentence=f"{provider.offer.label} {verb} {where}{via}.", zones=_zones(provider))


def _check_account(provider: Provider) -> CredentialCheck:
    zones = tuple(provider.zones()[:_MAX_ZONES])
    if not zones:
        return CredentialCheck(ok=False, sentence="Name a zone: this provider does not tell which it has.")
    return CredentialCheck(ok=True, sentence=f"{provider.offer.label} accepts the credential.", zones=zones)


def _place(name: str, lookup: Lookup) -> Place:
    challenge = f"_acme-challenge.{name}"
    try:
        place = locate(challenge, lookup)
    except DnsFailure as error:
        raise DnsFailure(
            error.cause, f"The zone of {name} cannot be found: {error.message}", error.next_step
        ) from error
    return place


def _write_and_remove(provider: Provider, place: Place, guard: Deadline | None) -> None:
    if provider.needs_zone and place.zone is None:
        sentence = f"No name server knows a zone for {place.name}."
        raise DnsFailure("dns_broken", sentence, "Look whether the domain is registered and delegated.")
    # As long as a real one (43 characters), which acme-dns insists on; at the name that the rights must cover.
    record = TxtRecord(place.name, "waypost-check-" + secrets.token_hex(15)[:29])
    zone = place.zone_name
    try:
        provider.add(zone, record)
        if provider.can_read and record.value not in provider.values(zone, record.name):
            sentence = f"{provider.offer.label} took a record for zone {zone} and does not show it."
            raise DnsFailure("dns_provider", sentence, "Try again in a minute.")
    except AgentError:
        if guard is not None:
            guard.extend(CLEANUP_SECONDS)
        # Half of it may have been done. Whether this works or not: the first failure says more.
        with suppress(AgentError):
            provider.remove(zone, record)
        raise
    provider.remove(zone, record)
    if provider.can_read and record.value in provider.values(zone, record.name):
        sentence = f"The credential may add records in zone {zone} but not remove them. Remove this one: {record}"
        raise DnsFailure("dns_credential", sentence, provider.offer.help)


def _zones(provider: Provider) -> tuple[str, ...]:
    """Many are nice to know and no part of the check: a token for one zone may not list them."""
    try:
        return tuple(provider.zones()[:_MAX_ZONES])
    except AgentError:
        return ()


def _sentence(error: AgentError) -> str:
    next_step = error.next_step if isinstance(error, DnsFailure) else ""
    return f"{error.message} {next_step}".strip()


def _nobody(_command_id: str) -> None:
    """A question has no journal."""
