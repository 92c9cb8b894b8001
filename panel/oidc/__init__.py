"""Engine: signing in at an OpenID provider. Here is what is known of a sign-in; `provider` speaks to the provider.
May import: the standard library."""

from __future__ import annotations

from dataclasses import asdict, dataclass


class OidcError(Exception):
    """The provider did not let the person in, or cannot be believed. The sentence holds nothing secret."""


@dataclass(frozen=True)
class Pending:
    """What the browser keeps while the person is at the provider."""

    state: str
    nonce: str
    verifier: str

    def as_dict(self) -> dict[str, str]:
        """For the signed cookie."""
        return asdict(self)


@dataclass(frozen=True)
class Person:
    """Who came back. `username` and `label` are the provider's words, only (issuer, subject) says who it is."""

    issuer: str
    subject: str
    username: str
    label: str
    roles: tuple[str, ...]
