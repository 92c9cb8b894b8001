"""What the hosts pages show, as plain values: one host's status, its row, its route, its refusal.
May import: panel.models, panel.nginx.grammar, panel.services, panel.web."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext, midst, ngettext
from panel.models import Agent, AgentStatus, Command, ProxyHost
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.web.certificates.view import host_tls
from panel.web.certificates.words import authority
from panel.web.hosts.forms import LABELS
from panel.web.status import Status

NAMES_SHOWN = 3  # in sentences; pages list them all


DELETED = Status("off", lazy_gettext("Deleted"), lazy_gettext("This host was deleted. It can be brought back."))
LEAVING = Status(
    "warn", lazy_gettext("Deleted, still live"), lazy_gettext("nginx serves it until the deletion is applied.")
)
REFUSED_LIVE = Status(
    "bad",
    lazy_gettext("Refused by nginx"),
    lazy_gettext("nginx refused what is saved. The last good version keeps serving."),
)
REFUSED_NEW = Status(
    "bad",
    lazy_gettext("Refused by nginx"),
    lazy_gettext("nginx refused it, so it is not served. Other hosts are not affected."),
)
DISABLED = Status("off", lazy_gettext("Disabled"), lazy_gettext("Visitors get the default page."))
DISABLING = Status(
    "warn",
    lazy_gettext("Changed, not live"),
    lazy_gettext("It is disabled, but nginx serves it until that is applied."),
)
NEW = Status(
    "off", lazy_gettext("Not live yet"), lazy_gettext("It is saved. nginx does not serve it until it is applied.")
)
CHANGED = Status(
    "warn",
    lazy_gettext("Changed, not live"),
    lazy_gettext("nginx serves the version before the last change until it is applied."),
)
AWAY = Status(
    "warn",
    lazy_gettext("Agent offline"),
    lazy_gettext("The last applied version keeps serving. The agent cannot say how it is now."),
)
SERVING = Status("ok", lazy_gettext("Serving"), lazy_gettext("nginx serves what is saved."))


def host_status(host: ProxyHost, agent_status: AgentStatus) -> Status:
    """The one place that says how a host is, from the host and its agent."""
    if host.is_deleted:
        return LEAVING if host.is_live else DELETED
    if host.is_refused:
        return REFUSED_LIVE if host.is_live else REFUSED_NEW
    if not host.is_enabled:
        return DISABLING if host.is_live else DISABLED
    if not host.is_live:
        return NEW
    if host.has_unapplied_changes:
        return CHANGED
    return SERVING if agent_status in {AgentStatus.ONLINE, AgentStatus.SYNCING} else AWAY


@dataclass(frozen=True)
class HostRow:
    """One line of the list."""

    id: int
    name: str
    alias_note: str
    upstream: str
    upstream_status: Status
    status: Status
    tls: Status
    agent_id: str
    agent_name: str
    changed_at: datetime
    is_enabled: bool
    tags: tuple[str, ...]


def host_row(host: ProxyHost, agent_status: AgentStatus, upstream: Status, open_job: Command | None = None) -> HostRow:
    """A host as the list shows it; `upstream` is how that was at the last look, `open_job` works on its certificate."""
    return HostRow(
        id=host.id,
        name=display_name(host.primary_name),
        alias_note=alias_note(len(host.domain_names) - 1),
        upstream=host.upstream_url,
        upstream_status=upstream,
        status=host_status(host, agent_status),
        tls=host_tls(host, open_job, utcnow()),
        agent_id=host.agent_id,
        agent_name=host.agent.name,
        changed_at=host.changed_at,
        is_enabled=host.is_enabled,
        tags=tuple(host.tags),
    )


def alias_note(count: int) -> str:
    """How many names there are beside the first."""
    return (
        "" if not count else _("+%(count)s alias", count=count) if count == 1 else _("+%(count)s aliases", count=count)
    )


@dataclass(frozen=True)
class Hop:
    """One station of the route strip. `tone` is a pill's tone; "bad" also colours the station."""

    label: str
    value: str
    detail: str
    tone: str


AGENT_TONES = {
    AgentStatus.ONLINE: ("ok", lazy_gettext("online")),
    AgentStatus.SYNCING: ("run", lazy_gettext("syncing")),
    AgentStatus.STALE: ("warn", lazy_gettext("not heard from for a while")),
    AgentStatus.OFFLINE: ("warn", lazy_gettext("offline")),
    AgentStatus.REFUSED: ("bad", lazy_gettext("not let in")),
    AgentStatus.WAITING: ("off", lazy_gettext("has not joined yet")),
    AgentStatus.REVOKED: ("bad", lazy_gettext("revoked")),
}


def host_route(host: ProxyHost, agent_status: AgentStatus, tls: Status, upstream: Status) -> list[Hop]:
    """The route of a saved host: public name, TLS, agent, upstream."""
    status = host_status(host, agent_status)
    tone = "warn" if status is REFUSED_LIVE else status.tone
    return [
        Hop(_("Public name"), site_url(host), _names_detail(host.domain_names), tone),
        _tls_hop(host, tls),
        _agent_hop(host.agent, agent_status),
        _upstream_hop(host, upstream),
    ]


@dataclass(frozen=True)
class Seen:
    """What is known of a draft: how the agent is, and what it saw; None where it has not looked."""

    agent: AgentStatus | None
    names: Status | None
    upstream: Status | None


def draft_route(
    values: Mapping[str, Any],
    refusals: Mapping[str, str],
    agent: Agent | None,
    certificate_name: str,
    seen: Seen,
) -> list[Hop]:
    """The route of what is typed in the form; a station whose field needs a fix is marked. `seen` is by the agent."""
    names = str(values.get("domain_names") or "").split()
    typed_host = str(values.get("forward_host") or "")
    shown_host = f"[{typed_host}]" if ":" in typed_host and "[" not in typed_host else typed_host
    upstream = f"{values.get('forward_scheme')}://{shown_host}:{values.get('forward_port') or ''}"
    wrong = next((refusals[f] for f in ("forward_host", "forward_port", "forward_scheme") if f in refusals), "")
    is_empty = not typed_host and not values.get("forward_port")
    reach = seen.upstream or Status("off", _("not checked yet"), "")
    lead = seen.names or Status("off", _names_detail(names), "")
    return [
        _draft_hop(_("Public name"), names[0] if names else "", lead.word, refusals.get("domain_names", ""), lead.tone),
        _draft_hop("TLS", certificate_name or _("no HTTPS"), _tls_detail(values), refusals.get("certificate_id", "")),
        _agent_hop(agent, seen.agent) if agent and seen.agent else Hop(_("Agent"), _("none chosen"), "", "off"),
        _draft_hop(_("Upstream"), "" if is_empty else upstream, reach.word, wrong, reach.tone),
    ]


def _draft_hop(label: str, value: str, detail: str, problem: str, tone: str = "off") -> Hop:
    if not value:
        return Hop(label, _("not filled in yet"), "", "off")
    return Hop(label, value, problem, "bad") if problem else Hop(label, value, detail, tone)


def _agent_hop(agent: Agent, status: AgentStatus) -> Hop:
    tone, word = AGENT_TONES[status]
    facts = [f"nginx {agent.nginx_version}"] if agent.nginx_version else []
    facts += [_("revision %(short_revision)s", short_revision=agent.short_revision)] if agent.short_revision else []
    return Hop(_("Agent"), agent.name, ", ".join([str(word), *facts]), tone)


def _tls_hop(host: ProxyHost, tls: Status) -> Hop:
    if host.certificate is None:
        return Hop("TLS", tls.word, _("plain HTTP"), tls.tone)
    if not host.has_tls:
        return Hop(
            "TLS", authority(host.certificate), _("%(word)s, so it is served by plain HTTP", word=tls.word), tls.tone
        )
    options = [_("redirects to HTTPS")] if host.force_ssl else []
    options += ["HSTS"] if host.hsts else []
    word = _("%(word)s left", word=tls.word) if tls.word[:1].isdigit() else tls.word
    return Hop("TLS", authority(host.certificate), ", ".join([str(word), *options]), tls.tone)


def _tls_detail(values: Mapping[str, Any]) -> str:
    options = {"force_ssl": _("redirects to HTTPS"), "hsts": "HSTS", "http2": "HTTP/2"}
    chosen = [word for name, word in options.items() if values.get(name)]
    return ", ".join(chosen) if values.get("certificate_id") else _("plain HTTP")


def _upstream_hop(host: ProxyHost, upstream: Status) -> Hop:
    if host.is_refused and host.refused_field.startswith("forward_"):
        return Hop(_("Upstream"), host.upstream_url, _("refused by nginx"), "bad")
    return Hop(_("Upstream"), host.upstream_url, _in_midst(upstream.word), upstream.tone)


def _in_midst(word: str) -> str:
    """A word that begins no sentence."""
    return str(word) if str(word).startswith("TLS") else midst(word)


def _names_detail(names: Sequence[str]) -> str:
    if len(names) < 2:
        return _("one name")
    return ngettext("and %(num)s more name", "and %(num)s more names", len(names) - 1)


def name_some(names: Sequence[str], total: int = 0) -> str:
    """The first three of them, and how many more there are: of `total`, when not all are given."""
    rest = max(total, len(names)) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (_(" and %(rest)s more", rest=rest) if rest > 0 else "")


def site_url(host: ProxyHost) -> str:
    """Where a browser finds the host: https once nginx serves it so, else http, on the agent's ports."""
    is_secure = host.has_tls and not host.has_unapplied_changes
    scheme, port, usual = ("https", host.agent.https_port, 443) if is_secure else ("http", host.agent.http_port, 80)
    return f"{scheme}://{display_name(host.primary_name)}" + ("" if port == usual else f":{port}")


@dataclass(frozen=True)
class Refusal:
    """Why nginx refused a host, where, and what the person can do."""

    words: str
    place: str
    field: str
    field_label: str
    keeps_serving: bool
    command_id: str | None


def host_refusal(host: ProxyHost, path: str) -> Refusal | None:
    """The refusal of the host as it is saved now. `path` is its file in the bundle."""
    if not host.is_refused:
        return None
    return Refusal(
        words=host.refused_text,
        place=_("%(path)s, line %(refused_line)s", path=path, refused_line=host.refused_line)
        if host.refused_line
        else path,
        field=host.refused_field if host.refused_field in LABELS else "",
        field_label=LABELS.get(host.refused_field, ""),
        keeps_serving=host.is_live,
        command_id=host.refused_command_id,
    )
