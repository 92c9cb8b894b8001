"""What changes by itself on the audit page: how many entries came since it was shown.
May import: Flask, panel.services.audit, panel.web.audit."""

from __future__ import annotations

from flask import render_template, request

from panel.services import audit
from panel.web.audit import listing


def regions() -> dict[str, str]:
    """The line above the list, for `/live?topics=audit&newest=42` with the list's own filters."""
    newest = request.args.get("newest", "")
    if not (newest.isascii() and newest.isdigit() and len(newest) < 10):
        return {}
    query = listing.parse(request.args)
    count = audit.count(query.wanted, newer_than=int(newest))
    return {"#audit-news": render_template("audit/_news.html", news=count, query=query)}
