"""TXT records of DNS-01 challenges (RFC 8555 section 8.4). Loaded late: dnspython comes with it.
May import: agent.acme.answers|spec, agent.dns, agent.nginx.guard, agent.output."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from contextlib import AbstractContextManager

from agent.acme.answers import Answer
from agent.acme.spec import Authority, CertificateSpec
from agent.dns.credential import DnsCredential
from agent.dns.publish import publish, withdraw
from agent.dns.spec import DnsSettings, TxtRecord
from agent.nginx.guard import Guard
from agent.output import Output


def record_of(answer: Answer) -> TxtRecord:
    """A name and its wildcard have two values at one name."""
    digest = hashlib.sha256(answer.text.encode()).digest()
    return TxtRecord(f"_acme-challenge.{answer.base}", base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


def published(
    spec: CertificateSpec, authority: Authority, answers: Sequence[Answer], output: Output, guard: Guard
) -> AbstractContextManager[None]:
    """Records that all name servers show inside the block. Raises DnsFailure, and what the guard raises."""
    return publish(
        _credential(spec),
        [record_of(answer) for answer in answers],
        output,
        guard,
        propagation_seconds=spec.propagation_seconds,
        resolver=DnsSettings(authority.dns_server),
    )


def sweep(spec: CertificateSpec, authority: Authority, answers: Sequence[Answer], output: Output) -> None:
    """Takes away what an agent that was killed may have left. What cannot be removed is told as a warning."""
    withdraw(
        _credential(spec),
        [record_of(answer) for answer in answers],
        output,
        resolver=DnsSettings(authority.dns_server),
    )


def _credential(spec: CertificateSpec) -> DnsCredential:
    """There is one: an order without it is refused before."""
    if spec.dns is None:
        raise ValueError("the DNS check needs a credential")
    return spec.dns
