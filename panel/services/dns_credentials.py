"""DNS credentials: kept sealed, never shown again, tested by an agent, and chosen by name.
May import: panel.services.{authorities,certificate_jobs,commands,context,events}, panel.nginx, panel.models …"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import undefer

from panel.errors import Conflict, Invalid, NotFound
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, Certificate, Command, CommandKind, DnsCredential, User
from panel.models.types import utcnow
from panel.nginx import grammar
from panel.services import authority_rules, certificate_jobs, commands, context, events
from panel.services.authorities import name_some, require_administrator
from panel.vault import VaultError

NOUN = "dns_credential"
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


@dataclass(frozen=True)
class CredentialSpec:
    """A credential as a person wants it. A secret that is left out, or empty, keeps the stored value."""

    name: str
    provider: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


def providers() -> list[Provider]:
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


def list_all() -> list[DnsCredential]:
    """Every credential, by name."""
    return list(db.session.scalars(select(DnsCredential).order_by(DnsCredential.name)))


def get(credential_id: int) -> DnsCredential:
    """The credential with this id. Raises NotFound."""
    credential = db.session.get(DnsCredential, credential_id) if 0 < credential_id < 2**31 else None
    if credential is None:
        raise NotFound(_("There is no such DNS credential. The settings list those that exist."))
    return credential


def users_of(credential: DnsCredential) -> list[Certificate]:
    """The certificates that are renewed with it, by name."""
    query = select(Certificate).where(Certificate.dns_credential_id == credential.id)
    return list(db.session.scalars(query.order_by(Certificate.name)))


def public_values(credential: DnsCredential) -> dict[str, str]:
    """The values that may be shown: those of fields that are known and not secret."""
    provider = _find_provider(credential.provider)
    shown = {one.name for one in provider.fields if not one.is_secret} if provider else set()
    return {name: value for name, value in open_values(credential).items() if name in shown}


def open_values(credential: DnsCredential) -> dict[str, str]:
    """All values, for the agent and for nobody else. Raises VaultError when the secret key has changed."""
    text = context.vault().open(credential.sealed_fields)
    values: dict[str, str] = json.loads(text) if text else {}
    return values


def create(spec: CredentialSpec, actor: User | None) -> DnsCredential:
    """A new credential. Raises Forbidden, Invalid(field); that of a value is "values.<its name>"."""
    require_administrator(actor)
    provider = _known_provider(spec.provider)
    credential = DnsCredential(name=_name(spec.name, None), provider=provider.id)
    credential.sealed_fields = _seal(_values(provider, spec.values, {}))
    db.session.add(credential)
    db.session.flush()
    _record(actor, "create", credential, before=None)
    return credential


def update(credential: DnsCredential, spec: CredentialSpec, actor: User | None) -> DnsCredential:
    """Saves a credential of the same provider; the agents that renew with it are told. Raises as create()."""
    require_administrator(actor)
    provider = _known_provider(credential.provider)
    before, stored = describe(credential), open_values(credential)
    credential.name = _name(spec.name, credential)
    values = _values(provider, spec.values, stored)
    if values == stored and before == describe(credential):
        return credential
    credential.sealed_fields = _seal(values)
    credential.changed_at = utcnow()
    if values != stored:
        credential.tested_at, credential.test_error, credential.test_command_id = None, "", None
    _record(actor, "update", credential, before=before, changed=_differing(stored, values))
    certificate_jobs.configure_all(users_of(credential), actor)
    return credential


def delete(credential: DnsCredential, actor: User | None) -> None:
    """Removes a credential. Raises Forbidden, Conflict naming the certificates that need it."""
    require_administrator(actor)
    users = users_of(credential)
    if users:
        raise Conflict(
            _(
                "%(name)s is needed to renew %(name_some)s. Choose another credential for those first.",
                name=credential.name,
                name_some=name_some(users),
            )
        )
    _record(actor, "delete", credential, before=describe(credential))
    db.session.delete(credential)
    db.session.flush()


def test(credential: DnsCredential, zone: str, agent: Agent, actor: User | None) -> Command:
    """Asks an agent to write, read and remove a record of its own in the zone. The answer is kept.

    Raises Forbidden, Invalid("zone"), Conflict for a revoked agent.
    """
    require_administrator(actor)
    try:
        domain = grammar.parse_domain_name(zone)
    except ValueError as error:
        raise Invalid("zone", str(error)) from error
    if domain.startswith("*."):
        raise Invalid("zone", _("Write the domain without the star: %(domain)s.", domain=domain[2:]))
    return _ask(credential, domain, agent, actor)


def test_saved(credential: DnsCredential, agent: Agent, actor: User | None) -> Command:
    """The same for values that were just saved: in the zone of the last test, or, without one, whether the provider
    knows the account at all. Raises Forbidden, Conflict for a revoked agent."""
    require_administrator(actor)
    return _ask(credential, credential.zone, agent, actor)


def _ask(credential: DnsCredential, zone: str, agent: Agent, actor: User | None) -> Command:
    payload = {"dns_credential_id": credential.id, "zone": zone}
    command = commands.enqueue(agent, CommandKind.CHECK_DNS_CREDENTIAL, payload=payload, actor=actor)
    credential.test_command_id = command.id
    db.session.flush()
    return command


def note_test(command: Command) -> None:
    """Keeps what came of the newest test."""
    credential = db.session.get(DnsCredential, command.payload.get("dns_credential_id"))
    if credential is None or credential.test_command_id != command.id:
        return
    is_good = command.has_succeeded and bool(command.result.get("ok"))
    said = command.result.get("sentence", "") if command.has_succeeded else command.error
    credential.zone = command.payload["zone"]
    credential.tested_at = command.finished_at
    credential.test_error = "" if is_good else said or "The agent did not say what is wrong."
    db.session.flush()
    wake_after_commit("certificates")


def find_for(agent: Agent, names: tuple[str, ...]) -> DnsCredential | None:
    """The only credential that was tested with a zone of all these names; None when there is none, or a choice."""
    known = {entry["id"] for entry in agent.dns_providers}
    tested = select(DnsCredential).where(
        DnsCredential.tested_at.is_not(None), DnsCredential.test_error == "", DnsCredential.provider.in_(known)
    )
    fitting = [one for one in db.session.scalars(tested) if all(_is_within(name, one.zone) for name in names)]
    return fitting[0] if len(fitting) == 1 else None


def describe(credential: DnsCredential) -> dict[str, Any]:
    """The values that may be known, as the audit log keeps them; of each secret only that it is set."""
    known = {"name": credential.name, "provider": credential.provider}
    try:
        values = open_values(credential)
    except VaultError:  # the secret key is another one now: what is sealed is lost
        return known
    shown = public_values(credential)
    return known | {f"values.{name}": shown.get(name, events.SET) for name in values}


def _is_within(name: str, zone: str) -> bool:
    plain = name.removeprefix("*.")
    return plain == zone or plain.endswith(f".{zone}")


def _provider(entry: Mapping[str, Any], agent_ids: tuple[str, ...], secrets: Set[str]) -> Provider:
    fields = tuple(
        ProviderField(one["name"], one["label"], one["help"], one["secret"] or one["name"] in secrets, one["optional"])
        for one in entry["fields"]
    )
    return Provider(entry["id"], entry["label"], entry["help"], fields, agent_ids)


def _find_provider(provider_id: str) -> Provider | None:
    return next((provider for provider in providers() if provider.id == provider_id), None)


def _known_provider(provider_id: str) -> Provider:
    provider = _find_provider(provider_id)
    if provider is None:
        raise Invalid("provider", _("No agent knows this DNS provider. Choose one from the list."))
    return provider


def _name(text: str, known: DnsCredential | None) -> str:
    name = authority_rules.parse_name(text)
    query = select(DnsCredential.id).where(DnsCredential.name == name)
    if db.session.scalar(query.where(DnsCredential.id != (known.id if known else 0)).limit(1)) is not None:
        raise Invalid(
            "name", _("There is already a DNS credential with the name %(name)s. Choose another name.", name=name)
        )
    return name


def _values(provider: Provider, given: Mapping[str, str], stored: Mapping[str, str]) -> dict[str, str]:
    """The values to keep: those given, and the stored ones of secrets that were left empty."""
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


def _value(one: ProviderField, text: str) -> str:
    value = text.strip().replace("\r\n", "\n")
    if len(value) > MAX_VALUE:
        raise Invalid(f"values.{one.name}", _("Use at most %(max_value)s characters.", max_value=MAX_VALUE))
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character != "\n" for character in value):
        raise Invalid(f"values.{one.name}", _("There is a control character in it. Copy it again."))
    return value


def _seal(values: dict[str, str]) -> str:
    return context.vault().seal(json.dumps(values)) if values else ""


def _differing(stored: Mapping[str, str], values: Mapping[str, str]) -> set[str]:
    """The fields that had a value and have another one now."""
    return {name for name, value in values.items() if name in stored and stored[name] != value}


def _record(
    actor: User | None,
    verb: str,
    credential: DnsCredential,
    *,
    before: dict[str, Any] | None,
    changed: Iterable[str] = (),
) -> None:
    after = None if verb == "delete" else describe(credential)
    for name in changed:
        if after is not None and after.get(f"values.{name}") == events.SET:
            after[f"values.{name}"] = events.CHANGED
    events.record(actor, NOUN, verb, credential.id, credential.name, before=before, after=after)
    wake_after_commit("certificates")
