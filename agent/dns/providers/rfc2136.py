"""Any DNS server that takes dynamic updates (RFC 2136) signed with a TSIG key: BIND, Knot, PowerDNS and others.
May import: agent.dns.{provider,spec,update}."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, ClassVar

from agent.dns.provider import TTL, Job, Provider
from agent.dns.spec import DnsFailure, DnsProviderField, DnsProviderInfo, TxtRecord

if TYPE_CHECKING:
    from agent.dns.update import Updates


class Rfc2136(Provider):
    """Adds and deletes single values, so that nobody else's are touched."""

    info: ClassVar = DnsProviderInfo(
        "rfc2136",
        "DNS update (RFC 2136)",
        "Let the key change TXT records of _acme-challenge names only: in BIND by update-policy, in Knot by an acl "
        "with update-type and update-owner-name.",
        (
            DnsProviderField("server", "Server", "The primary: ns1.example.com, or 192.0.2.1:5353 for another port."),
            DnsProviderField("key_name", "Key name", "Of the TSIG key, as the server has it."),
            DnsProviderField("secret", "Key", "Base64.", secret=True),
            DnsProviderField("algorithm", "Algorithm", "hmac-sha256 when empty.", optional=True),
            DnsProviderField("zone", "Zone", "Found by itself when empty.", optional=True),
        ),
    )

    def __init__(self, job: Job, info: DnsProviderInfo) -> None:
        super().__init__(job, info)
        # dnspython's part for updates: not for an agent that never makes one.
        updates = importlib.import_module("agent.dns.update")
        values = job.values
        algorithm = values["algorithm"] or "hmac-sha256"
        self._updates: Updates = updates.Updates(
            values["server"], values["key_name"], algorithm, values["secret"], job.guard
        )

    def _add(self, zone: str, record: TxtRecord) -> None:
        self._updates.add(self._zone(zone, record.name), record, TTL)

    def _remove(self, zone: str, record: TxtRecord) -> None:
        self._updates.delete(self._zone(zone, record.name), record)

    def _values(self, zone: str, name: str) -> list[str]:
        return self._updates.values(self._zone(zone, name), name)

    def _zone(self, zone: str, name: str) -> str:
        wanted = self.job.values["zone"].rstrip(".").lower() or zone
        if name != wanted and not name.endswith("." + wanted):
            sentence = f"{name} is not in zone {wanted}, which the credential names."
            raise DnsFailure("dns_credential", sentence, "Correct the zone of the credential, or leave it empty.")
        return wanted
