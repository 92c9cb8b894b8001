"""What the settings show, as plain values: authorities and DNS credentials with who uses them.
May import: panel.models, panel.services."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from panel.i18n import gettext as _
from panel.models import AcmeAuthority, DnsCredential
from panel.services import authorities, dns_credentials
from panel.services.dns_providers import Provider


@dataclass(frozen=True)
class AuthorityView:
    """One authority in the list."""

    authority: AcmeAuthority
    tone: str
    word: str
    used_by: int
    email: str


@dataclass(frozen=True)
class CredentialView:
    """One DNS credential in the list: no value of it is shown."""

    credential: DnsCredential
    provider: str
    tone: str
    word: str
    users: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class ProviderGroup:
    """Providers that one sentence is true of. A large one is shown closely, because only the names differ."""

    help: str
    providers: tuple[Provider, ...]

    @property
    def is_large(self) -> bool:
        """Whether the sentence stands once above all of them."""
        return len(self.providers) > 1


def group(providers: Sequence[Provider], query: str = "") -> list[ProviderGroup]:
    """The providers with a sentence of their own first, each a group; then those that share one. Those only whose name
    has the words of `query`."""
    by_help: dict[str, list[Provider]] = {}
    wanted = query.lower().split()
    for provider in providers:
        if not all(word in f"{provider.label} {provider.id}".lower() for word in wanted):
            continue
        by_help.setdefault(provider.help, []).append(provider)
    groups = [ProviderGroup(text, tuple(members)) for text, members in by_help.items()]
    return sorted(groups, key=lambda one: one.is_large)


def authority(row: AcmeAuthority) -> AuthorityView:
    """An authority and whether it can be asked."""
    tone, word = ("ok", _("Ready")) if row.is_ready else ("off", _("Needs an account"))
    if not row.directory_url:
        tone, word = "bad", _("Gone")
    return AuthorityView(row, tone, word, len(authorities.users_of(row)), authorities.email_of(row))


def credential(row: DnsCredential, known: dict[str, Provider]) -> CredentialView:
    """A credential and what the last test of it said."""
    provider = known.get(row.provider)
    tone, word = (
        ("bad", _("Test failed"))
        if row.test_error
        else ("ok", _("Works"))
        if row.tested_at
        else ("off", _("Not tested"))
    )
    users = tuple((one.id, one.name) for one in dns_credentials.users_of(row))
    return CredentialView(row, provider.label if provider else row.provider, tone, word, users)
