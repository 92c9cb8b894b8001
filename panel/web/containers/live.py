"""What changes by itself on the list of containers.
May import: Flask, panel.web."""

from __future__ import annotations

from flask import render_template, request

from panel.web.containers import page


def regions() -> dict[str, str]:
    """Regions for `/live?topics=containers&…`, with the parameters of the list's own URL."""
    values = page.list_values(request.args)
    part = "containers/_table.html" if values["total"] else "networks/_empty.html"
    return {
        f"#{values['region']}": render_template(part, **values),
        "#engines": render_template("networks/_engines.html", **values),
        "#offers": render_template("containers/_offers.html", **values),
    }
