"""Tells whether a credential may edit a zone. Importing it costs nothing.
May import: agent.dns.spec, agent.dns.credential, agent.dns.patience."""

from __future__ import annotations

import importlib

from agent.dns.credential import DnsCredential
from agent.dns.patience import Deadline
from agent.dns.spec import CredentialCheck, DnsSettings

SECONDS = 25.0


def check(
    credential: DnsCredential,
    zone: str,
    *,
    resolver: DnsSettings = DnsSettings(),  # noqa: B008 - frozen
    seconds: float = SECONDS,
) -> CredentialCheck:
    """Writes, reads and removes a TXT record at `_acme-challenge.<zone>`, or where that leads.

    `zone` is a domain name; empty only looks whether the provider accepts the credential. Never raises for what a
    person can mend: the sentence says what is wrong, and which rights are needed.
    """
    # dnspython and requests come with it: 30 MiB that an agent without DNS credentials never needs.
    probe = importlib.import_module("agent.dns.probe")
    found: CredentialCheck = probe.check(credential, zone, resolver, Deadline(seconds))
    return found
