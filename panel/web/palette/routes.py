"""One search over everything: as a fragment for the palette, and as a page of its own.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from panel.services.search import MAX_LENGTH
from panel.web import access
from panel.web.palette import commands, view

bp = Blueprint("palette", __name__)
bp.add_app_template_global(commands.shortcuts, "shortcuts_of")


@bp.get("/palette")
def find() -> str:
    """The options of the palette's list for what was typed so far."""
    return render_template("palette/_results.html", results=_results())


@bp.get("/search")
def page() -> str:
    """The same results as links and buttons, also without JavaScript."""
    return render_template("palette/search.html", results=_results())


def _results() -> view.Results:
    query = " ".join(request.args.get("q", "").split())[:MAX_LENGTH]
    return view.results(query, access.actor())
