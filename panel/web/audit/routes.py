"""The audit log: its page, one change with what came after it, the file, and taking a change back.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template, request, stream_with_context, url_for
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.models import Event
from panel.services import accounts, audit, undo
from panel.services.audit import NOBODY
from panel.web import htmx
from panel.web.access import actor, local_path
from panel.web.audit import export, listing, offer, view, words
from panel.web.live import registry

bp = Blueprint("audit", __name__)
registry.register("audit", dict)  # the list asks for its own news, because its filters change while it is open

SHOWN_LATER = 20  # changes that came after the one that is shown


@bp.get("/audit")
def index() -> Response:
    """Every change, newest first; filters and place are in the URL. An open list asks how many came since `newest`."""
    query = listing.parse(request.args)
    if query.newest and htmx.is_htmx():
        news = audit.count(query.wanted, newer_than=query.newest)
        return Response(render_template("audit/_news.html", news=news, query=query))
    stretch = audit.list_stretch(query.wanted, older_than=query.before, newer_than=query.after)
    rows = view.changes(stretch.entries, actor())
    values: dict[str, Any] = {
        "query": query,
        "stretch": stretch,
        "rows": rows,
        "object_name": rows[0].name if rows and query.object_id else query.object_id,
        "people": [user.username for user in accounts.list_all()],
        "nobody": NOBODY,
        "words": words,
    }
    return htmx.render("audit/index.html", "audit/_list.html", **values)


@bp.get("/audit/<int:event_id>")
def show(event_id: int) -> str:
    """One change, and what was done to the same object since."""
    event = undo.get(event_id)
    entries = audit.of_object(event.noun, event.object_id, SHOWN_LATER, since=event_id)
    if all(entry.event.id != event_id for entry in entries):
        entries += audit.of_number(event_id)
    *later, change = view.changes(entries, actor())
    everything = listing.LogQuery(kind=event.noun, object_id=event.object_id).url()
    return render_template("audit/show.html", change=change, later=later, everything=everything)


@bp.get("/audit.csv")
def download() -> Response:
    """The list as it is filtered, all of it, as a file."""
    pieces = stream_with_context(export.lines(listing.parse(request.args).wanted))
    response = Response(pieces, mimetype="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="waypost-audit.csv"'
    return response


@bp.post("/audit/<int:event_id>/undo")
def undo_change(event_id: int) -> BaseResponse:
    """Takes the change back, if nobody changed the object since; else the page that shows what came after."""
    try:
        with transaction():
            event = undo.get(event_id)
            said = offer.sentence(undo.undo(event, actor()), _("Undone:"))
            address = _page_of(event)
            again = offer.undo_url(event.noun)
    except Conflict as refusal:
        htmx.toast(refusal.message, kind="warn")
        return htmx.go(url_for("audit.show", event_id=event_id))
    htmx.toast(said, undo_url=again, undo_label=_("Undo that"))
    return htmx.go(local_path(request.form.get("next", "")) or address)


def _page_of(event: Event) -> str:
    """Where the object is shown, else the log."""
    settings = {"acme_authority": "/settings/authorities", "notification_channel": "/settings/notifications"}
    known = view.PAGES | settings | {"user": "/users/{}"}
    return known.get(event.noun, "/audit").format(event.object_id)
