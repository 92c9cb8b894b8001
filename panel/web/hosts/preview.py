"""What saving would change: the host's file as it would be, and its difference from what is live.
May import: panel.models, panel.services."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from panel.i18n import gettext as _
from panel.models import Agent, ProxyHost
from panel.services import deployments
from panel.services.proxy_hosts import ProxyHostSpec, spec_of

CSS = {"+": "add", "-": "del", " ": ""}


@dataclass(frozen=True)
class DiffLine:
    """One line of a difference: `sign` is "+", "-" or " ", `css` colours it."""

    sign: str
    css: str
    text: str


@dataclass(frozen=True)
class FileView:
    """One file: its path, the difference from what is live, and the whole text. `note` says what matters first."""

    path: str
    note: str
    diff: tuple[DiffLine, ...]
    text: str


Live = Mapping[str, str]  # the texts of files that nginx serves, by their hash


def of_draft(host: ProxyHost | None, spec: ProxyHostSpec, agent: Agent, live: Live | None = None) -> FileView:
    """The file of what is typed in the form, against what is live."""
    if not spec.is_enabled:
        return _gone(host, live, _("Disabled: nginx gets no file for it, and visitors get the default page."))
    found = deployments.preview(host, spec, agent, live)
    return FileView(found.path, found.problem or _note(found), tuple(lines(found.diff)), found.text)


def of_saved(host: ProxyHost, live: Live | None = None) -> FileView:
    """The file of what is saved, against what is live: `live`, where those of many hosts were read together."""
    if host.is_deleted:
        return _gone(host, live, _("Deleted: the file is taken away."))
    return of_draft(host, spec_of(host), host.agent, live)


def live_text(host: ProxyHost) -> str:
    """The file that nginx serves now; empty when there is none."""
    return deployments.live_file(host)


def _gone(host: ProxyHost | None, live: Live | None, note: str) -> FileView:
    text = deployments.live_file(host, live) if host else ""
    diff = tuple(lines(("-", line) for line in text.splitlines()))
    return FileView(host.live_path if host else "", note, diff, "")


def _note(found: deployments.Preview) -> str:
    if not found.live_text:
        return _("A new file: nothing of this host is live yet.")
    return "" if found.diff else _("nginx serves exactly this file.")


def lines(diff: Iterable[tuple[str, str]]) -> Iterator[DiffLine]:
    """A difference (sign, text) as a page shows it; "@" lines become an ellipsis."""
    for position, (sign, text) in enumerate(diff):
        if sign != "@":
            yield DiffLine(sign, CSS[sign], text)
        elif position or not _begins_at_the_top(text):
            yield DiffLine("", "hd", "…")


def _begins_at_the_top(hunk: str) -> bool:
    """Whether nothing is left out before this part of the difference."""
    return hunk.lstrip("@ ").startswith(("-0,0", "-1"))
