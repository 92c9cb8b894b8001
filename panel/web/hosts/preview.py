"""What saving would change: the host's file as it would be, and its difference from what is live.
May import: panel.models, panel.services."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import unified_diff

from panel.models import Agent, ProxyHost
from panel.services import deployments
from panel.services.proxy_hosts import ProxyHostSpec, spec_of


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


def of_draft(host: ProxyHost | None, spec: ProxyHostSpec, agent: Agent) -> FileView:
    """The file of what is typed in the form, against what is live."""
    if not spec.is_enabled:
        return _gone(host, "Disabled: the file is taken away, visitors get the default page.")
    preview = deployments.preview(host, spec, agent)
    return _file(preview.path, preview.live_text, preview.text)


def of_saved(host: ProxyHost) -> FileView:
    """The file of what is saved, against what is live."""
    if host.is_deleted:
        return _gone(host, "Deleted: the file is taken away.")
    return of_draft(host, spec_of(host), host.agent)


def live_text(host: ProxyHost) -> str:
    """The file that nginx serves now; empty when there is none."""
    return (deployments.content(host.live_sha256) or "") if host.live_sha256 else ""


def _gone(host: ProxyHost | None, note: str) -> FileView:
    live = live_text(host) if host else ""
    return FileView(host.live_path if host else "", note, tuple(_lines(live, "")), "")


def _file(path: str, live: str, text: str) -> FileView:
    if live == text:
        return FileView(path, "nginx serves exactly this file.", (), text)
    note = "" if live else "A new file: nothing of this host is live yet."
    return FileView(path, note, tuple(_lines(live, text)), text)


def _lines(live: str, text: str) -> Iterator[DiffLine]:
    """The difference with three lines around each change."""
    for line in list(unified_diff(live.splitlines(), text.splitlines(), n=3, lineterm=""))[2:]:
        if line.startswith("@@"):
            yield DiffLine("", "hd", "…")
        else:
            css = {"+": "add", "-": "del"}.get(line[0], "")
            yield DiffLine(line[0], css, line[1:])
