"""DNS credentials: kept sealed, never shown again, tested by an agent, and chosen by name.
May import: panel.services.{authorities,authority_rules,certificate_jobs,commands,context,dns_providers,events}
and below."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from panel.errors import Conflict, Invalid, NotFound
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, Certificate, Command, CommandKind, DnsCredential, User
from panel.models.types import utcnow
from panel.nginx import grammar
from panel.services import authority_rules, certificate_jobs, commands, context, dns_providers, events
from panel.services.authorities import name_some, require_administrator
from panel.vault import VaultError

NOUN = "dns_credential"


@dataclass(frozen=True)
class CredentialSpec:
    """A credential as a person wants it. A secret that is left out, or empty, keeps the stored value."""

    name: str
    provider: str
    values: Mapping[str, str] = field(default_factory=dict, repr=False)


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
    provider = dns_providers.find(credential.provider)
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
    provider = dns_providers.get(spec.provider)
    credential = DnsCredential(name=_name(spec.name, None), provider=provider.id)
    credential.sealed_fields = _seal(dns_providers.check_values(provider, spec.values, {}))
    db.session.add(credential)
    db.session.flush()
    _record(actor, "create", credential, before=None)
    return credential


def update(credential: DnsCredential, spec: CredentialSpec, actor: User | None) -> DnsCredential:
    """Saves a credential of the same provider; the agents that renew with it are told. Raises as create()."""
    require_administrator(actor)
    provider = dns_providers.get(credential.provider)
    before, stored = describe(credential), open_values(credential)
    credential.name = _name(spec.name, credential)
    values = dns_providers.check_values(provider, spec.values, stored)
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


def _name(text: str, known: DnsCredential | None) -> str:
    name = authority_rules.parse_name(text)
    query = select(DnsCredential.id).where(DnsCredential.name == name)
    if db.session.scalar(query.where(DnsCredential.id != (known.id if known else 0)).limit(1)) is not None:
        raise Invalid(
            "name", _("There is already a DNS credential with the name %(name)s. Choose another name.", name=name)
        )
    return name


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
