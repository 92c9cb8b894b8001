"""What an authority shows, read with care: directory, orders, authorizations, challenges (RFC 8555 section 7.1).
May import: agent.acme.problems, requests."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import requests

from agent.acme.problems import BrokenOrder, NotAnAuthority, Problem, http_date, read_problem


@dataclass(frozen=True)
class Directory:
    """What a directory says (RFC 8555 section 7.1.1). `date` is the authority's clock."""

    url: str
    new_nonce: str
    new_account: str
    new_order: str
    revoke: str
    renewal_info: str = ""
    terms_url: str = ""
    needs_binding: bool = False
    caa_identities: tuple[str, ...] = ()
    profiles: dict[str, str] = field(default_factory=dict)
    date: datetime | None = None


@dataclass(frozen=True)
class OrderState:
    """An order as it is now (RFC 8555 section 7.1.3)."""

    url: str
    status: str
    names: frozenset[str]
    authorizations: tuple[str, ...]
    finalize: str
    certificate: str = ""
    problem: Problem | None = None
    expires: datetime | None = None


@dataclass(frozen=True)
class ChallengeState:
    """One way of showing that a name is ours."""

    kind: str
    url: str
    token: str
    status: str
    problem: Problem | None = None


@dataclass(frozen=True)
class AuthorizationState:
    """What is known of one name (RFC 8555 section 7.1.4). `name` of a wildcard begins with `*.`."""

    url: str
    name: str
    base: str
    status: str
    challenges: tuple[ChallengeState, ...]


def read_directory(url: str, response: requests.Response) -> Directory:
    """Raises NotAnAuthority for anything that is none."""
    document = document_of(response)
    meta = document.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    profiles = meta.get("profiles")
    try:
        return Directory(
            url=url,
            new_nonce=_url(document["newNonce"]),
            new_account=_url(document["newAccount"]),
            new_order=_url(document["newOrder"]),
            revoke=_url(document.get("revokeCert", "")),
            renewal_info=_url(document.get("renewalInfo", "")),
            terms_url=_url(meta.get("termsOfService", "")),
            needs_binding=meta.get("externalAccountRequired") is True,
            caa_identities=_words(meta.get("caaIdentities")),
            profiles={str(k): str(v) for k, v in profiles.items()} if isinstance(profiles, dict) else {},
            date=http_date(response.headers.get("Date", "")),
        )
    except (KeyError, BrokenOrder) as error:
        raise NotAnAuthority(f"What {url} answers is no ACME directory.") from error


def read_order(url: str, document: dict[str, Any]) -> OrderState:
    """Raises BrokenOrder."""
    problem = document.get("error")
    identifiers = document.get("identifiers")
    return OrderState(
        url=url,
        status=str(document.get("status", "")),
        names=frozenset(_value(identifier) for identifier in identifiers)
        if isinstance(identifiers, list)
        else frozenset(),
        authorizations=_words(document.get("authorizations")),
        finalize=_url(document.get("finalize", "")),
        certificate=_url(document.get("certificate", "")),
        problem=read_problem(problem) if isinstance(problem, dict) else None,
        expires=_moment(document.get("expires")),
    )


def read_authorization(url: str, document: dict[str, Any]) -> AuthorizationState:
    """Raises BrokenOrder."""
    base = _value(document.get("identifier"))
    challenges = document.get("challenges")
    return AuthorizationState(
        url=url,
        name=f"*.{base}" if document.get("wildcard") is True else base,
        base=base,
        status=str(document.get("status", "")),
        challenges=tuple(_challenge(c) for c in challenges if isinstance(c, dict))
        if isinstance(challenges, list)
        else (),
    )


def document_of(response: requests.Response) -> dict[str, Any]:
    """The JSON object in an answer. Raises NotAnAuthority."""
    try:
        document = response.json()
    except ValueError as error:
        raise NotAnAuthority(f"What {response.url} answers is not JSON.") from error
    if not isinstance(document, dict):
        raise NotAnAuthority(f"What {response.url} answers is no ACME object.")
    return document


def _challenge(document: dict[str, Any]) -> ChallengeState:
    problem = document.get("error")
    return ChallengeState(
        kind=str(document.get("type", "")),
        url=_url(document.get("url", "")),
        token=str(document.get("token", "")),
        status=str(document.get("status", "")),
        problem=read_problem(problem) if isinstance(problem, dict) else None,
    )


def _value(identifier: object) -> str:
    value = identifier.get("value") if isinstance(identifier, dict) else None
    if not isinstance(value, str):
        raise BrokenOrder("an identifier has no value")
    return value.lower()


def _url(value: object) -> str:
    if not isinstance(value, str):
        raise BrokenOrder("an address is none")
    return value


def _words(value: object) -> tuple[str, ...]:
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)
