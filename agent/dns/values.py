"""Looks at the values of a credential before anything is done with them.
May import: agent.dns.spec, agent.dns.credential."""

from __future__ import annotations

from collections.abc import Mapping

from agent.dns.credential import DnsCredential
from agent.dns.spec import DnsFailure, DnsProviderInfo

MAX_LENGTH = 16_384


def checked(info: DnsProviderInfo, credential: DnsCredential) -> Mapping[str, str]:
    """The values by field, without blanks around them; every field of the provider is there.

    Raises DnsFailure when one is missing, too long, or has a control character in it (a line end would end an HTTP
    header). No sentence quotes a value.
    """
    values: dict[str, str] = {}
    for field in info.fields:
        value = credential.fields.get(field.name, "").strip()
        if not value and not field.optional:
            raise _bad(credential, f"{field.label} is missing")
        if len(value) > MAX_LENGTH:
            raise _bad(credential, f"{field.label} is longer than {MAX_LENGTH} characters")
        if not value.isprintable():
            raise _bad(credential, f"{field.label} has a line end or another control character in it")
        values[field.name] = value
    return values


def _bad(credential: DnsCredential, problem: str) -> DnsFailure:
    return DnsFailure("dns_credential", f"The DNS credential “{credential.label}” cannot be used: {problem}.")
