"""The audit log as a file for spreadsheets, written while it is read.
May import: panel.services.audit, panel.web.audit."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO

from panel.i18n import lazy_gettext
from panel.services import audit
from panel.services.audit import Wanted
from panel.web.audit import view
from panel.web.audit.view import ChangeView, FieldChange

HEADINGS = (
    lazy_gettext("Time (UTC)"),
    lazy_gettext("Person"),
    lazy_gettext("Action"),
    lazy_gettext("Kind"),
    lazy_gettext("Object"),
    lazy_gettext("From"),
    lazy_gettext("Job"),
    lazy_gettext("Changes"),
)
_BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def lines(wanted: Wanted) -> Iterator[str]:
    """The file in pieces: headings, then every entry, newest first."""
    yield _written([HEADINGS])
    for entries in audit.read_all(wanted):
        yield _written([_row(change) for change in view.plain(entries)])


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_BEGIN_FORMULAS) else text


def _row(change: ChangeView) -> tuple[str, ...]:
    at = f"{change.at:%Y-%m-%d %H:%M:%S}"
    did = f"{change.said[0]}{change.name}{change.said[1]}"
    told = "; ".join(_told(one) for one in change.fields)
    return (at, change.person, did, change.kind, change.name, change.origin, change.command_id or "", told)


def _told(one: FieldChange) -> str:
    if one.before is None or one.after is None:
        return f"{one.label}: {one.before if one.after is None else one.after}"
    return f"{one.label}: {one.before} → {one.after}"


def _written(rows: list[tuple[str, ...]]) -> str:
    out = StringIO()
    csv.writer(out).writerows([safe(cell) for cell in row] for row in rows)
    return out.getvalue()
