"""The door of this engine: orders, revocations, renewal information. The libraries are loaded at its first use only.
May import: agent.acme, agent.nginx.guard, agent.output."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from agent.acme.spec import Authority, CertificateSpec, Issued
from agent.nginx.guard import Guard
from agent.output import Output

if TYPE_CHECKING:
    from agent.acme.obtain import Desk


@dataclass(frozen=True)
class OrderRequest:
    """What is asked for now. `key_pem` is made and stored before, so that an order that is taken up again fits it.

    `staging` asks the staging directory; `order_url` is an order that was begun; `replaces_pem` the leaf to replace.
    """

    spec: CertificateSpec
    authority: Authority
    key_pem: str = field(repr=False)
    staging: bool = False
    order_url: str = ""
    replaces_pem: str = ""

    @property
    def directory_url(self) -> str:
        """Who is asked."""
        return self.authority.staging_directory_url if self.staging else self.authority.directory_url


class OrderLog(Protocol):
    """Where the address of an order is kept, so that a killed agent takes it up again."""

    def order_made(self, url: str) -> None:
        """Durable when it returns; called before anything is answered. "" forgets it: it is of no use any more.

        The caller forgets it when it has stored the certificate, and not before.
        """


@dataclass(frozen=True)
class RenewalInfo:
    """When an authority wants a certificate renewed (RFC 9773). `retry_after`: seconds until it is asked again."""

    start: datetime
    end: datetime
    explanation_url: str = ""
    retry_after: float = 6 * 3600.0


@dataclass(frozen=True)
class DirectoryFacts:
    """What an authority says of itself. `date` is its clock; `profiles` are descriptions by name."""

    url: str
    caa_identities: tuple[str, ...]
    profiles: dict[str, str]
    terms_url: str
    needs_binding: bool
    has_renewal_info: bool
    date: datetime | None


class Authorities:
    """All authorities, and the accounts at them. Thread-safe: any number of jobs may run at once."""

    def __init__(self, folder: Path, webroot: Path, user_agent: str) -> None:
        """`folder` keeps account keys (0700); `webroot` is served by nginx at /.well-known/acme-challenge/."""
        self._folder, self._webroot, self._user_agent = folder, webroot, user_agent
        self._made: Desk | None = None

    def obtain(self, request: OrderRequest, log: OrderLog, output: Output, guard: Guard) -> Issued:
        """A certificate. Stages: order, challenge, validation, issued, cleanup.

        Raises AcmeFailure (why, and in which stage), and Cancelled, TimedOut or Stopping as the guard says. Whatever
        it ends in, token files and records are taken away again.
        """
        return self._desk().obtain(request, log, output, guard)

    def revoke(self, authority: Authority, leaf_pem: str, key_pem: str, reason: int) -> None:
        """Revokes (RFC 8555 section 7.6) by the account, else by the certificate's own key. Twice is a success.

        `reason` as in RFC 5280 section 5.3.1. Raises AcmeFailure.
        """
        self._desk().revoke(authority, leaf_pem, key_pem, reason)

    def renewal_info(self, authority: Authority, leaf_pem: str) -> RenewalInfo | None:
        """When it should be renewed; None when the authority does not say, or nothing usable. Never raises for that."""
        return self._desk().renewal_info(authority, leaf_pem)

    def directory(self, authority: Authority, *, staging: bool = False) -> DirectoryFacts:
        """What the authority says of itself, asked now. Raises AcmeFailure."""
        return self._desk().directory(authority, staging=staging)

    def account_url(self, authority: Authority) -> str:
        """The URL of this agent's account there, from its file; empty while there is none. Asks nobody."""
        return self._desk().account_url(authority)

    def _desk(self) -> Desk:
        """Two threads may both make one: they share nothing that would differ but locks, so the first one stays."""
        if self._made is None:
            from agent.acme.obtain import Desk  # noqa: PLC0415 - 40 MB that an agent without certificates never needs

            made = Desk(self._folder, self._webroot, self._user_agent)
            self._made = self._made or made
        return self._made
