"""The DNS providers that agents can use, as they describe them, and what a provider takes as values.
May import: panel.models, panel.extensions, panel.errors."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import undefer

from panel.errors import Invalid
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import Agent

MAX_VALUE = 8192  # characters of one field; some are whole key files
_PLACES = {"url", "server", "host", "endpoint", "address"}  # words in the names of fields that say where secrets go


@dataclass(frozen=True)
class ProviderField:
    """One value that a provider needs. A secret one is never shown again."""

    name: str
    label: str
    help: str
    is_secret: bool
    is_optional: bool


@dataclass(frozen=True)
class Provider:
    """A DNS provider as agents describe it, and the ids of the agents that can use it."""

    id: str
    label: str
    help: str
    fields: tuple[ProviderField, ...]
    agent_ids: tuple[str, ...]


def list_all() -> list[Provider]:
    """What the agents can use, by label; the newest agent's word on a provider counts, but for what is secret: there
    it is enough that one says so, for one that errs or lies would have it shown."""
    found: dict[str, Provider] = {}
    query = select(Agent).where(Agent.revoked_at.is_(None)).options(undefer(Agent.dns_providers))
    for agent in db.session.scalars(query.order_by(Agent.connected_at)):
        for entry in agent.dns_providers:
            known = found.get(entry["id"])
            agent_ids = (*known.agent_ids, agent.id) if known else (agent.id,)
            secrets = {one.name for one in known.fields if one.is_secret} if known else set[str]()
            found[entry["id"]] = _provider(entry, agent_ids, secrets)
    return sorted(found.values(), key=lambda provider: provider.label.lower())


def find(provider_id: str) -> Provider | None:
    """The provider with this id, while an agent can use it."""
    return next((provider for provider in list_all() if provider.id == provider_id), None)


def get(provider_id: str) -> Provider:
    """The provider that a form chose. Raises Invalid("provider")."""
    provider = find(provider_id)
    if provider is None:
        raise Invalid("provider", _("No agent knows this DNS provider. Choose one from the list."))
    return provider


def check_values(provider: Provider, given: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """The values to keep: those given, and the stored ones of secrets that were left empty.

    Raises Invalid("values"), or with "values.<its name>" for one of them.
    """
    known = {one.name for one in provider.fields}
    for name in given:
        if name not in known:
            raise Invalid(
                "values", _("%(label)s has no such field. Reload the page and try again.", label=provider.label)
            )
    values = {}
    for one in provider.fields:
        value = _value(one, given.get(one.name, "")) or (stored.get(one.name, "") if one.is_secret else "")
        if not value and not one.is_optional:
            raise Invalid(
                f"values.{one.name}", _("%(label)s needs this: %(label_2)s.", label=provider.label, label_2=one.label)
            )
        if value:
            values[one.name] = value
    _refuse_moved_secrets(provider, given, values, stored)
    return values


def _refuse_moved_secrets(
    provider: Provider, given: Mapping[str, str], values: Mapping[str, str], stored: Mapping[str, str]
) -> None:
    """A stored secret goes only where it was meant to go: who names another place must know it."""
    places = [one for one in provider.fields if not one.is_secret and _PLACES & set(one.name.split("_"))]
    moved = [one for one in places if stored and values.get(one.name) != stored.get(one.name)]
    for one in provider.fields:
        if moved and one.is_secret and one.name in values and not given.get(one.name, "").strip():
            words = _("Enter it again: %(label)s has changed, and this would be sent there.", label=moved[0].label)
            raise Invalid(f"values.{one.name}", words)


def _provider(entry: Mapping[str, Any], agent_ids: tuple[str, ...], secrets: Set[str]) -> Provider:
    fields = tuple(
        ProviderField(one["name"], one["label"], one["help"], one["secret"] or one["name"] in secrets, one["optional"])
        for one in entry["fields"]
    )
    return Provider(entry["id"], entry["label"], entry["help"], fields, agent_ids)


def _value(one: ProviderField, text: str) -> str:
    value = text.strip().replace("\r\n", "\n")
    if len(value) > MAX_VALUE:
        raise Invalid(f"values.{one.name}", _("Use at most %(max_value)s characters.", max_value=MAX_VALUE))
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character != "\n" for character in value):
        raise Invalid(f"values.{one.name}", _("There is a control character in it. Copy it again."))
    return value
