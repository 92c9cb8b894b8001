"""The undo that a toast offers for what was just done, and what is said after it.
May import: Flask, panel.services.{undo,undo_ways}, panel.web."""

from __future__ import annotations

from flask import url_for

from panel.i18n import gettext as _
from panel.services import undo
from panel.services.undo_ways import Undone
from panel.web.audit import words


def undo_url(noun: str) -> str:
    """Where the toast posts to, for the last change of this transaction; "" when it changed nothing that goes back."""
    event = undo.last_recorded(noun)
    return url_for("audit.undo_change", event_id=event.id) if event is not None else ""


def sentence(undone: Undone, did: str) -> str:
    """As in "Undone: changed host app.example.com. It is being applied now."."""
    event = undone.event
    before, after = words.phrase(event.verb)
    name = words.object_name(event.noun, event.object_name) if words.names_object(event.verb) else ""
    what = _("%(did)s “%(change)s”.", did=did, change=f"{before}{name}{after}")
    return f"{what} {progress(undone)}".rstrip()


def progress(undone: Undone) -> str:
    """How far nginx is with it; "" for what nginx does not learn of."""
    if undone.waits:
        return _("It is saved, and live with the next apply.")
    return _("It is being applied now.") if undone.command else ""
