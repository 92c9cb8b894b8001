"""Recorded changes as plain values: a sentence, the fields that changed, where the object is, whether it can be undone.
May import: panel.models, panel.services, panel.web.audit.words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.models import Event, User
from panel.services import bulk_undo, object_names, together, undo
from panel.services.audit import Entry
from panel.services.together import Together
from panel.services.undo import Standing
from panel.web.audit import words

_ORIGINS = {"command line": lazy_gettext("command line"), "panel": lazy_gettext("panel")}
FIELDS_TOLD = 3  # in the line that opens the difference

PAGES = {"proxy_host": "/hosts/{}", "certificate": "/certificates/{}", "agent": "/agents/{}", "command": "/jobs/{}"}


@dataclass(frozen=True)
class FieldChange:
    """One field: its label, and its value before and after in words; None when there was, or is, no object."""

    label: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class ChangeView:
    """One entry. `said` is the words before and after the object's name, which is empty when the words name none.
    `others` were changed together with it; `undo_all_url`, which one entry of theirs has, takes it back for all."""

    id: int
    at: datetime
    person: str
    said: tuple[str, str]
    short: str
    name: str
    url: str
    kind: str
    origin: str
    command_id: str | None
    fields: tuple[FieldChange, ...]
    summary: str
    can_undo: bool
    is_changed_since: bool
    is_version: bool
    others: int = 0
    undo_all_url: str = ""

    @property
    def sentence(self) -> str:
        """As in "alice changed host app.example.com"."""
        return f"{self.person} {self.said[0]}{self.name}{self.said[1]}"


def changes(entries: Sequence[Entry], viewer: User) -> list[ChangeView]:
    """Entries for a page; the number of queries does not depend on how many there are."""
    found = [entry.event for entry in entries]
    standings = undo.standings(found) if viewer.may_edit else {}
    references = _references(found)
    shown = [_change(entry, references, standings.get(entry.event.id, Standing.NEVER), viewer) for entry in entries]
    return _with_others(shown, found)


def _with_others(shown: Sequence[ChangeView], found: Sequence[Event]) -> list[ChangeView]:
    """Says of each entry what was changed with it, and lets the first of them that can be undone undo them all."""
    parts = together.find(found)
    offered: set[Together] = set()
    told = []
    for change, event in zip(shown, found, strict=True):
        whole = parts.get(event.id)
        url = ""
        if whole and whole not in offered and change.can_undo and bulk_undo.can_undo(event):
            offered.add(whole)
            url = f"/hosts/bulk/undo?{urlencode({'first': whole.first, 'last': whole.last})}"
        told.append(replace(change, others=whole.count - 1, undo_all_url=url) if whole else change)
    return told


def plain(entries: Sequence[Entry]) -> list[ChangeView]:
    """Entries for a file, where nothing can be pressed."""
    references = _references([entry.event for entry in entries])
    return [_change(entry, references, Standing.NEVER, None) for entry in entries]


def fields_of(event: Event, references: object_names.Names) -> tuple[FieldChange, ...]:
    """What differs; of a new object what it was made with, of a deleted one what it was."""
    before, after = event.before, event.after
    names = [name for name in {**(before or {}), **(after or {})} if _differs(name, before, after)]
    return tuple(
        FieldChange(words.field(name), _spoken(name, before, references), _spoken(name, after, references))
        for name in names
    )


def _change(entry: Entry, references: object_names.Names, standing: Standing, viewer: User | None) -> ChangeView:
    event = entry.event
    fields = fields_of(event, references)
    is_allowed = viewer is not None and undo.is_allowed(event, viewer)
    return ChangeView(
        id=event.id,
        at=event.at,
        person=entry.person or _somebody(event),
        said=words.phrase(event.verb),
        short=words.short(event.noun, event.verb),
        name=words.object_name(event.noun, event.object_name) if words.names_object(event.verb) else "",
        url=_url(event, references),
        kind=words.NOUNS.get(event.noun, event.noun),
        origin=_origin(event),
        command_id=event.command_id,
        fields=fields,
        summary=_summary(fields),
        can_undo=is_allowed and standing is Standing.NOW,
        is_changed_since=is_allowed and standing is Standing.CHANGED_SINCE,
        is_version=undo.is_version(event),
    )


def _differs(name: str, before: dict[str, Any] | None, after: dict[str, Any] | None) -> bool:
    if before is None or after is None:
        return ((after if before is None else before) or {}).get(name) not in (None, "", [])
    return before.get(name) != after.get(name)


def _spoken(name: str, values: dict[str, Any] | None, references: object_names.Names) -> str | None:
    return None if values is None else words.value(name, values.get(name), references)


def _summary(fields: Sequence[FieldChange]) -> str:
    told = ", ".join(str(one.label) for one in fields[:FIELDS_TOLD])
    return (
        _("%(told)s and %(value)s more", told=told, value=len(fields) - FIELDS_TOLD)
        if len(fields) > FIELDS_TOLD
        else told
    )


def _somebody(event: Event) -> str:
    """Who it was when it was no person: nginx, an agent, the panel, or whoever is at the keyboard."""
    if event.verb == "proxy_host:refuse":
        return "nginx"
    if event.verb in {"user:login-failed", "user:code-failed"}:
        return _("Somebody")
    if event.origin.startswith(("agent ", "an agent")):
        return event.origin[:1].upper() + event.origin[1:]
    return _("The command line") if event.origin == "command line" else _("The panel")


def _origin(event: Event) -> str:
    """Where it came from, in the reader's language; an address stays."""
    if event.origin in _ORIGINS:
        return str(_ORIGINS[event.origin])
    name = event.origin.removeprefix("agent ")
    return event.origin if name == event.origin else _("agent %(name)s", name=name)


def _references(found: Iterable[Event]) -> object_names.Names:
    """The names of the objects that these events are about or mention; those that are gone are not among them."""
    wanted: set[tuple[str, str]] = set()
    for event in found:
        wanted.add((event.noun, event.object_id))
        for values in (event.before, event.after):
            held = ((noun, (values or {}).get(name)) for name, noun in words.REFERENCES.items())
            wanted |= {(noun, str(number)) for noun, number in held if number is not None}
    return object_names.find(wanted)


def _url(event: Event, references: object_names.Names) -> str:
    """The object's page, if it has one and is still there; a job's is that of the job."""
    is_there = event.noun == "command" or (event.noun, event.object_id) in references
    return PAGES[event.noun].format(event.object_id) if is_there and event.noun in PAGES else ""
