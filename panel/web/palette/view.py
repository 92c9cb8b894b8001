"""What the palette and the search page show: results in groups, as plain values.
May import: Flask, panel.models, panel.nginx.grammar, panel.services, panel.web.palette.commands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flask import url_for

from panel.i18n import gettext as _
from panel.i18n import plural
from panel.models import User
from panel.models.types import utcnow
from panel.nginx.grammar import display_name
from panel.services import search
from panel.services.search import FoundCertificate, FoundHost
from panel.web.palette import commands
from panel.web.palette.commands import Command


@dataclass(frozen=True)
class Option:
    """One result. `kind` colours the detail: "", warn or bad. `is_post` ones are done by a POST to `url`."""

    label: str
    url: str
    icon: str
    detail: str = ""
    kind: str = ""
    is_post: bool = False


@dataclass(frozen=True)
class Group:
    """Results of one noun under its title."""

    title: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Results:
    """All that fits `query`, in the order in which it is shown."""

    query: str
    groups: tuple[Group, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(len(group.options) for group in self.groups)

    @property
    def words(self) -> str:
        """The count as it is read out."""
        return plural(self.count, "result") if self.count else _("Nothing fits")


def results(query: str, user: User) -> Results:
    """Objects first, then pages, then commands. Without a query the last changed hosts, and all that can be done."""
    found, now = search.find(query, user), utcnow()
    people = [Option(one.username, url_for("users.show", user_id=one.id), "users", one.role) for one in found.people]
    agents = [Option(one.name, url_for("agents.show", agent_id=one.id), "agent", one.hostname) for one in found.agents]
    groups = (
        _group(_("Hosts") if query else _("Last changed hosts"), map(_host, found.hosts)),
        _group(_("Certificates"), [_certificate(one, now) for one in found.certificates]),
        _group(_("Agents"), agents),
        _group(_("People"), people),
        _group(_("Pages"), [_command(one, user) for one in commands.pages(user, query)]),
        _group(_("Commands"), [_command(one, user) for one in commands.commands(user, query)]),
    )
    return Results(query, tuple(group for group in groups if group.options))


def _group(title: str, options: Iterable[Option]) -> Group:
    return Group(title, tuple(options))


def _host(found: FoundHost) -> Option:
    url, name = url_for("hosts.show", host_id=found.id), display_name(found.name)
    if found.is_refused:
        return Option(name, url, "hosts", _("Refused by nginx"), "bad")
    return Option(name, url, "hosts", found.upstream if found.is_enabled else _("Disabled"))


def _certificate(found: FoundCertificate, now: datetime) -> Option:
    detail, kind = _lasts(found, now)
    url = url_for("certificates.show", certificate_id=found.id)
    return Option(display_name(found.name), url, "cert", detail, kind)


def _lasts(found: FoundCertificate, now: datetime) -> tuple[str, str]:
    if not found.is_present or found.not_after is None:
        return _("Not there yet"), "warn"
    days = (found.not_after - now).days
    if days < 0:
        return _("Expired"), "bad"
    return plural(days, "day"), "warn" if days < 7 else ""


def _command(command: Command, user: User) -> Option:
    keys = " ".join(command.key_list) if user.has_shortcuts else ""
    return Option(command.label, command.url, command.icon, keys, is_post=command.is_post)
