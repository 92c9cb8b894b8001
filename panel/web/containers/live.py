"""What changes by itself on the list of containers.
May import: Flask, panel.web."""

from __future__ import annotations

from flask import render_template, request

from panel.web.containers import page


def regions() -> dict[str, str]:
    """Regions for `/live?topics=containers&…`, with the parameters of the list's own URL."""
    values = page.list_values(request.args)
    return {
        f"#{values['region']}": render_template("containers/_table.html", **values),
        "#engines": render_template("networks/_engines.html", **values),
        "#offers": render_template("containers/_offers.html", **values),
    }
