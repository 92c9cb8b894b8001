"""Hand edits as an agent's page shows them.
May import: panel.models, panel.services, panel.web.hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Agent
from panel.services import drift
from panel.web.hosts.preview import DiffLine, lines

_MEANINGS = {
    ("changed", True): lazy_gettext("nginx has loaded it: visitors get what is green."),
    ("changed", False): lazy_gettext(
        "nginx has not loaded it: visitors get what is red until nginx is reloaded or restarted."
    ),
    ("missing", True): lazy_gettext("nginx was loaded without it."),
    ("missing", False): lazy_gettext("nginx still serves it from memory, until it is reloaded or restarted."),
    ("added", True): lazy_gettext("Nobody wrote it here, and nginx has loaded it."),
    ("added", False): lazy_gettext("Nobody wrote it here. nginx has not loaded it; the next reload or restart would."),
}


@dataclass(frozen=True)
class EditView:
    """One file: where, what happened to it, what that means, and the difference from what was written."""

    path: str
    kind: str
    meaning: str
    host_id: int | None
    diff: tuple[DiffLine, ...]
    note: str


@dataclass(frozen=True)
class EarlierEdit:
    """One report that is over, or lasts."""

    at: datetime
    files: tuple[EditView, ...]


def now(agent: Agent) -> list[EditView]:
    """What differs on the agent's machine now."""
    return [_view(entry) for entry in agent.drift if entry["path"]]


def earlier(agent: Agent) -> list[EarlierEdit]:
    """What was recorded before; the report that lasts is left out."""
    events = drift.earlier(agent)
    shown = events[1:] if agent.drift else events
    return [
        EarlierEdit(event.at, tuple(_view(entry) for entry in (event.after or {}).get("files", []) if entry["path"]))
        for event in shown
    ]


def _view(entry: Mapping[str, Any]) -> EditView:
    kind, is_loaded = str(entry["kind"]), bool(entry["is_loaded"])
    return EditView(
        path=entry["path"],
        kind=kind,
        meaning=_MEANINGS[kind, is_loaded],
        host_id=entry["host_id"],
        diff=tuple(lines((sign, text) for sign, text in entry["diff"])),
        note=_("The rest of the file is not shown.") if entry["is_cut"] else "",
    )
