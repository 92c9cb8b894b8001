"""ACME authorities: which there are, which is asked unless somebody chooses, and in which order others follow.
May import: panel.services.{authority_rules,certificate_jobs,context,events}, panel.models and below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import AcmeAuthority, Certificate, CertificateSource, User
from panel.models.types import utcnow
from panel.services import authority_rules as rules
from panel.services import certificate_jobs, context, events

NOUN = "acme_authority"


@dataclass(frozen=True)
class AuthoritySpec:
    """An authority as a person wants it. `eab_key` None keeps the stored one, which is never shown again."""

    name: str
    directory_url: str
    staging_directory_url: str = ""
    ca_pem: str = ""
    email: str = ""
    eab_kid: str = ""
    eab_key: str | None = field(default=None, repr=False)
    needs_eab: bool = False
    is_test: bool = False


def require_administrator(actor: User | None) -> None:
    """Raises Forbidden for everybody else: accounts and credentials reach further than the hosts of one panel."""
    if actor is not None and not actor.may_administer:
        raise Forbidden(_("Only administrators change authorities and DNS credentials. Ask one of them."))


def list_all() -> list[AcmeAuthority]:
    """Every authority: the default first, then those that come with Waypost, then by name."""
    order = (AcmeAuthority.is_default.desc(), AcmeAuthority.is_builtin.desc(), AcmeAuthority.id)
    return list(db.session.scalars(select(AcmeAuthority).order_by(*order)))


def get(authority_id: int) -> AcmeAuthority:
    """The authority with this id. Raises NotFound."""
    authority = db.session.get(AcmeAuthority, authority_id) if 0 < authority_id < 2**31 else None
    if authority is None:
        raise NotFound(_("There is no such authority. The settings list those that exist."))
    return authority


def default() -> AcmeAuthority | None:
    """The authority that is asked unless somebody chooses another one; None before the panel's first start."""
    return db.session.scalar(select(AcmeAuthority).where(AcmeAuthority.is_default).limit(1))


def fallbacks() -> list[AcmeAuthority]:
    """Those that are asked in this order when the first one keeps failing."""
    query = select(AcmeAuthority).where(AcmeAuthority.fallback_position.is_not(None))
    return list(db.session.scalars(query.order_by(AcmeAuthority.fallback_position)))


def order_for(authority: AcmeAuthority) -> list[AcmeAuthority]:
    """The authority, then those to fall back on. Trusted and untrusted ones are never mixed."""
    others = [one for one in fallbacks() if one.id != authority.id and one.is_ready]
    return [authority, *(one for one in others if one.is_test == authority.is_test)]


def email_of(authority: AcmeAuthority) -> str:
    """The address for its account: its own, else the one that LETSENCRYPT_EMAIL gives."""
    return authority.email or context.config().letsencrypt_email


def users_of(authority: AcmeAuthority) -> list[Certificate]:
    """The certificates that are renewed there, by name."""
    query = select(Certificate).where(Certificate.authority_id == authority.id)
    return list(db.session.scalars(query.order_by(Certificate.name)))


def create(spec: AuthoritySpec, actor: User | None) -> AcmeAuthority:
    """A new authority. Raises Forbidden, Invalid(field)."""
    require_administrator(actor)
    spec = _check(spec, None)
    authority = AcmeAuthority(**_columns(spec))
    _set_key(authority, spec)
    db.session.add(authority)
    db.session.flush()
    _record(actor, "create", authority, before=None)
    return authority


def update(authority: AcmeAuthority, spec: AuthoritySpec, actor: User | None) -> AcmeAuthority:
    """Saves an authority. Of one that comes with Waypost only e-mail and external account can be changed.

    The agents that renew there are told. Raises Forbidden, Invalid(field).
    """
    require_administrator(actor)
    spec = _check(spec, authority)
    before = describe(authority)
    columns = _columns(spec)
    for name in ("email", "eab_kid") if authority.is_builtin else columns:
        setattr(authority, name, columns[name])
    had_key = authority.eab_key_sealed
    _set_key(authority, spec)
    if before != describe(authority) or had_key != authority.eab_key_sealed:
        authority.changed_at = utcnow()
        has_other_key = bool(had_key and authority.eab_key_sealed) and had_key != authority.eab_key_sealed
        _record(actor, "update", authority, before=before, has_other_key=has_other_key)
        certificate_jobs.configure_all(_concerned(authority), actor)
    return authority


def delete(authority: AcmeAuthority, actor: User | None) -> None:
    """Removes an authority. Raises Forbidden, Conflict for one in use, the default, or one that comes with Waypost."""
    require_administrator(actor)
    if authority.is_builtin:
        raise Conflict(
            _(
                "%(name)s comes with Waypost and stays. Nothing is asked there unless you choose it.",
                name=authority.name,
            )
        )
    if authority.is_default:
        raise Conflict(_("%(name)s is the default. Make another authority the default first.", name=authority.name))
    users = users_of(authority)
    if users:
        raise Conflict(
            _(
                "%(name)s renews %(name_some)s. Choose another authority for those certificates first.",
                name=authority.name,
                name_some=name_some(users),
            )
        )
    _record(actor, "delete", authority, before=describe(authority))
    db.session.delete(authority)
    db.session.flush()


def set_default(authority: AcmeAuthority, actor: User | None) -> None:
    """Makes it the one that is asked unless somebody chooses. Raises Forbidden, Conflict for one that is not ready."""
    require_administrator(actor)
    if authority.is_default:
        return
    if not authority.is_ready:
        raise Conflict(_("%(name)s needs the two values of an external account first.", name=authority.name))
    make_default(authority, actor)


def set_fallbacks(authority_ids: Sequence[int], actor: User | None) -> None:
    """The authorities to fall back on, in this order; the others are no longer. Raises Forbidden, Invalid, NotFound."""
    require_administrator(actor)
    chosen = [get(authority_id) for authority_id in dict.fromkeys(authority_ids)]
    for authority in chosen:
        if not authority.is_ready:
            raise Invalid(
                "fallbacks", _("%(name)s needs the two values of an external account first.", name=authority.name)
            )
    before = [authority.name for authority in fallbacks()]
    after = [authority.name for authority in chosen]
    if before == after:
        return
    for authority in fallbacks():
        authority.fallback_position = None
    for position, authority in enumerate(chosen, start=1):
        authority.fallback_position = position
    db.session.flush()
    events.record(actor, NOUN, "fallbacks", 0, "", before={"fallbacks": before}, after={"fallbacks": after})
    wake_after_commit("certificates")
    certificate_jobs.configure_all(_all_renewed(), actor)


def make_default(authority: AcmeAuthority, actor: User | None) -> None:
    """Moves the default; the caller has seen to it that this may be done."""
    previous = default()
    for other in db.session.scalars(select(AcmeAuthority).where(AcmeAuthority.is_default)):
        other.is_default = False
    authority.is_default = True
    db.session.flush()
    before = {"default": previous.name if previous else ""}
    events.record(
        actor, NOUN, "default", authority.id, authority.name, before=before, after={"default": authority.name}
    )
    wake_after_commit("certificates")


def describe(authority: AcmeAuthority) -> dict[str, Any]:
    """The values that people set, as the audit log keeps them; of the key only whether there is one."""
    names = ("name", "directory_url", "staging_directory_url", "ca_pem", "email", "eab_kid", "needs_eab", "is_test")
    return {name: getattr(authority, name) for name in names} | {
        "eab_key": events.SET if authority.eab_key_sealed else ""
    }


def name_some(certificates: Sequence[Certificate]) -> str:
    """The first names of a list and how many more there are, for a sentence."""
    shown = ", ".join(certificate.name for certificate in certificates[:3])
    more = len(certificates) - 3
    return shown + _(" and %(more)s more", more=more) if more > 0 else shown


def _concerned(authority: AcmeAuthority) -> list[Certificate]:
    """The certificates whose spec names the authority."""
    return users_of(authority) if authority.fallback_position is None else _all_renewed()


def _all_renewed() -> list[Certificate]:
    return list(db.session.scalars(select(Certificate).where(Certificate.source == CertificateSource.ACME)))


def _check(spec: AuthoritySpec, known: AcmeAuthority | None) -> AuthoritySpec:
    if known is not None and known.is_builtin:
        checked = AuthoritySpec(known.name, known.directory_url, needs_eab=known.needs_eab)
    else:
        checked = _check_place(spec, known)
    kid = rules.parse_eab_kid(spec.eab_kid)
    key = rules.parse_eab_key(spec.eab_key) if spec.eab_key else None
    has_key = key is not None or bool(known and known.eab_key_sealed)
    if kid and not has_key:
        raise Invalid("eab_key", _("Write the HMAC key that belongs to this key ID."))
    if key and not kid:
        raise Invalid("eab_kid", _("Write the key ID that belongs to this HMAC key."))
    account = {"email": rules.parse_email(spec.email), "eab_kid": kid, "eab_key": key}
    return AuthoritySpec(**{**_fields(checked), **account})


def _check_place(spec: AuthoritySpec, known: AcmeAuthority | None) -> AuthoritySpec:
    staging = spec.staging_directory_url.strip()
    checked = AuthoritySpec(
        name=rules.parse_name(spec.name),
        directory_url=rules.parse_directory_url(spec.directory_url),
        staging_directory_url=rules.parse_directory_url(staging, "staging_directory_url") if staging else "",
        ca_pem=rules.parse_ca_pem(spec.ca_pem),
        needs_eab=spec.needs_eab,
        is_test=spec.is_test,
    )
    if checked.staging_directory_url == checked.directory_url:
        raise Invalid(
            "staging_directory_url", _("The address for rehearsals is the same as the real one. Leave it empty.")
        )
    for column, value in (("name", checked.name), ("directory_url", checked.directory_url)):
        query = select(AcmeAuthority).where(getattr(AcmeAuthority, column) == value)
        other = db.session.scalar(query.where(AcmeAuthority.id != (known.id if known else 0)).limit(1))
        if other is not None:
            raise Invalid(
                column, _("The authority %(name)s has this already. Change that one, or use another.", name=other.name)
            )
    return checked


def _fields(spec: AuthoritySpec) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in AuthoritySpec.__dataclass_fields__}


def _columns(spec: AuthoritySpec) -> dict[str, Any]:
    return {name: value for name, value in _fields(spec).items() if name != "eab_key"}


def _set_key(authority: AcmeAuthority, spec: AuthoritySpec) -> None:
    """Without a key ID there is no use for a key."""
    if not spec.eab_kid:
        authority.eab_key_sealed = ""
    elif spec.eab_key:
        authority.eab_key_sealed = context.vault().seal(spec.eab_key)


def _record(
    actor: User | None,
    verb: str,
    authority: AcmeAuthority,
    *,
    before: dict[str, Any] | None,
    has_other_key: bool = False,
) -> None:
    after = None if verb == "delete" else describe(authority)
    if after is not None and has_other_key:
        after["eab_key"] = events.CHANGED
    events.record(actor, NOUN, verb, authority.id, authority.name, before=before, after=after)
    wake_after_commit("certificates")
