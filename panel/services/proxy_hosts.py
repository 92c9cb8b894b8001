"""What people do with proxy hosts: create, change, switch, delete, bring back, find.
May import: panel.services.{coverage,domain_names,events,generations,host_queries,paging,tags} and below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import func, select

from panel.errors import Conflict, Forbidden, Invalid, NotFound
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Agent, ProxyHost, User
from panel.models.types import utcnow
from panel.nginx import grammar
from panel.services import coverage, domain_names, events, generations, host_queries, tags
from panel.services.host_queries import HostFilter
from panel.services.paging import Page, paginate

Text = TypeVar("Text")
Value = TypeVar("Value")


@dataclass(frozen=True)
class ProxyHostSpec:
    """A host as a person wants it, before it is saved. Names and upstream in the grammar's spelling."""

    agent_id: str
    domain_names: tuple[str, ...]
    forward_scheme: str
    forward_host: str
    forward_port: int
    websocket: bool = True
    is_enabled: bool = True
    certificate_id: int | None = None
    force_ssl: bool = False
    hsts: bool = False
    http2: bool = True
    notes: str = ""
    tags: tuple[str, ...] = ()


WORDS = frozenset({"notes", "tags"})  # what nginx never sees: saving these alone leaves nothing to apply


def create(spec: ProxyHostSpec, actor: User | None) -> ProxyHost:
    """Saves a new host; it is not live before an apply. Raises Forbidden, Invalid(field)."""
    require_editor(actor)
    spec = check(spec)
    domain_names.refuse_taken(spec.agent_id, spec.domain_names)
    host = ProxyHost(**columns_of(spec))
    db.session.add(host)
    mark_changed(host)
    domain_names.claim(host)
    record(actor, "create", host, before=None)
    return host


def update(
    host: ProxyHost, spec: ProxyHostSpec, actor: User | None, *, version: int, verb: str = "update"
) -> ProxyHost:
    """Saves a host as `spec` wants it; on another agent both agents have something to apply.

    `version` is the one the person's form was opened on. Raises Forbidden, Invalid(field), and Conflict when somebody
    else saved the host meanwhile or deleted it. Saving what is already saved changes nothing. `verb` is what the audit
    log calls it.
    """
    require_editor(actor)
    _refuse_deleted(host)
    if host.version != version:
        raise Conflict(
            _("Somebody else saved this host while you had it open. Compare both versions, then save again.")
        )
    spec = check(spec)
    before = describe(host)
    if before == columns_of(spec) and not host.is_refused:
        return host
    left_agent_id, columns = host.agent_id, columns_of(spec)
    has_other_names = any(before[name] != columns[name] for name in ("agent_id", "domain_names"))
    if has_other_names:
        domain_names.refuse_taken(spec.agent_id, spec.domain_names, but_not=host)
    for name, value in columns.items():
        setattr(host, name, value)
    if not host.is_refused and WORDS.issuperset(name for name in columns if before[name] != columns[name]):
        mark_saved(host)
        record(actor, "update", host, before=before)
        return host
    if left_agent_id != spec.agent_id:
        _leave(host, left_agent_id)
    mark_changed(host)
    if has_other_names:
        domain_names.claim(host)
    record(actor, verb, host, before=before)
    return host


def set_enabled(host: ProxyHost, enabled: bool, actor: User | None) -> ProxyHost:
    """Switches a host on or off; its names stay its own. Raises Forbidden, Conflict when it was deleted."""
    require_editor(actor)
    _refuse_deleted(host)
    if host.is_enabled == enabled:
        return host
    before = describe(host)
    host.is_enabled = enabled
    mark_changed(host)
    record(actor, "enable" if enabled else "disable", host, before=before)
    return host


def clone(host: ProxyHost) -> ProxyHostSpec:
    """A draft with everything of this host but its names, which stay its own, and the certificate for them."""
    return replace(spec_of(host), domain_names=(), certificate_id=None)


def delete(host: ProxyHost, actor: User | None) -> None:
    """Deletes a host, for undo it is kept; its names are free at once. Raises Forbidden."""
    require_editor(actor)
    if host.is_deleted:
        return
    before = describe(host)
    host.deleted_at = utcnow()
    mark_changed(host)
    domain_names.release(host)
    record(actor, "delete", host, before=before)


def restore(host: ProxyHost, actor: User | None) -> ProxyHost:
    """Brings a deleted host back. Raises Forbidden, Conflict when a name or its agent is gone meanwhile."""
    require_editor(actor)
    if not host.is_deleted:
        return host
    if host.agent.is_revoked:
        raise Conflict(
            _("The agent %(name)s was revoked meanwhile. Create the host again on another agent.", name=host.agent.name)
        )
    host.deleted_at = None
    mark_changed(host)
    try:
        domain_names.claim(host)
    except Invalid as error:
        raise Conflict(
            _("%(message)s Change that host first, then bring this one back.", message=error.message)
        ) from error
    record(actor, "restore", host, before=None)
    return host


def get(host_id: int) -> ProxyHost:
    """The host with this id, deleted ones too. Raises NotFound."""
    host = db.session.get(ProxyHost, host_id) if 0 < host_id < 2**31 else None
    if host is None:
        raise NotFound(_("There is no such host. The list of hosts shows those that exist."))
    return host


def count() -> int:
    """How many hosts there are that are not deleted."""
    return db.session.scalar(select(func.count(ProxyHost.id)).where(ProxyHost.deleted_at.is_(None))) or 0


def list_page(
    *,
    query: str = "",
    agent_id: str | None = None,
    status: str | None = None,
    wanted: HostFilter | None = None,
    sort: str = "changed",
    descending: bool = True,
    page: int = 1,
    per_page: int = 25,
) -> Page[ProxyHost]:
    """Hosts that are not deleted. Unknown filters filter nothing, unknown sorts give the last changed first.

    `wanted`, if given, takes the place of the first three. `sort`: name, upstream, status, agent, changed.
    """
    wanted = wanted or HostFilter(query=query, agent_id=agent_id or "", status=status or "")
    statement = host_queries.select_hosts(wanted)
    return paginate(statement.order_by(*host_queries.order(sort, descending=descending)), page, per_page)


def spec_of(host: ProxyHost) -> ProxyHostSpec:
    """A host as saved, as a spec."""
    return ProxyHostSpec(**{**describe(host), "domain_names": tuple(host.domain_names), "tags": tuple(host.tags)})


def describe(host: ProxyHost) -> dict[str, Any]:
    """The values that people set, as the audit log keeps them."""
    return {name: getattr(host, name) for name in ProxyHostSpec.__dataclass_fields__}


def check(spec: ProxyHostSpec) -> ProxyHostSpec:
    """The spec in the grammar's spelling, for an agent that takes hosts. Raises Invalid(field)."""
    agent = db.session.get(Agent, spec.agent_id)
    if agent is None or agent.is_revoked:
        raise Invalid("agent_id", _("This agent does not exist any more. Choose another one."))
    names = _parse("domain_names", grammar.parse_domain_names, spec.domain_names)
    coverage.require(spec.certificate_id, agent, names)
    return replace(
        spec,
        agent_id=agent.id,
        domain_names=names,
        forward_scheme=_parse("forward_scheme", grammar.parse_forward_scheme, spec.forward_scheme),
        forward_host=_parse("forward_host", grammar.parse_forward_host, spec.forward_host),
        forward_port=_parse("forward_port", grammar.parse_port, spec.forward_port),
        notes=_parse("notes", grammar.check_notes, spec.notes),
        tags=_parse("tags", tags.parse, spec.tags),
    )


def _parse(field: str, parse: Callable[[Text], Value], value: Text) -> Value:
    try:
        return parse(value)
    except ValueError as error:
        raise Invalid(field, str(error)) from error


def columns_of(spec: ProxyHostSpec) -> dict[str, Any]:
    """A spec as the columns of a row."""
    return {**asdict(spec), "domain_names": list(spec.domain_names), "tags": list(spec.tags)}


def mark_saved(host: ProxyHost) -> None:
    """Notes that somebody saved the host: a form that was opened before is told so."""
    host.version = (host.version or 0) + 1
    host.changed_at = utcnow()
    db.session.flush()
    db.session.expire(host, ["certificate"])
    wake_after_commit("hosts")


def mark_changed(host: ProxyHost) -> None:
    """Notes that somebody saved the host, so that its file is another one."""
    mark_saved(host)
    note_changed_file(host)


def note_changed_file(host: ProxyHost) -> None:
    """Gives the host its agent's next generation: the counter is raised by the database, so no save is lost."""
    host.changed_generation = generations.raise_one(host.agent_id)
    clear_refusal(host)
    db.session.flush()
    wake_after_commit("hosts")


def set_aside(host: ProxyHost, text: str, *, line: int = 0, field: str = "", command_id: str | None = None) -> None:
    """Notes that the host as saved is refused, in nginx's words: its last live file is used until it is saved again."""
    host.refused_generation = host.changed_generation
    host.refused_text, host.refused_line, host.refused_field = text, line, field
    host.refused_command_id = command_id
    db.session.flush()
    wake_after_commit("hosts")


def clear_refusal(host: ProxyHost) -> None:
    """Forgets that nginx refused this host: it is tried again with the next apply."""
    host.refused_generation = None
    host.refused_text = host.refused_field = ""
    host.refused_line = 0
    host.refused_command_id = None


def _leave(host: ProxyHost, agent_id: str) -> None:
    """The agent that the host leaves has a change too; what it serves is no fact of the new one's."""
    generations.raise_one(agent_id)
    host.live_path = host.live_sha256 = ""
    db.session.flush()
    db.session.refresh(host, ["agent"])


def _refuse_deleted(host: ProxyHost) -> None:
    if host.is_deleted:
        raise Conflict(_("This host was deleted. Bring it back before changing it."))


def require_editor(actor: User | None) -> None:
    """Raises Forbidden for people who may only look."""
    if actor is not None and not actor.may_edit:
        raise Forbidden(_("Your role lets you look, not change. Ask an administrator for the operator role."))


def record(actor: User | None, verb: str, host: ProxyHost, *, before: dict[str, Any] | None) -> None:
    """Writes what somebody did to the host to the audit log."""
    after = None if host.is_deleted else describe(host)
    events.record(actor, "proxy_host", verb, host.id, host.primary_name, before=before, after=after)
