"""What changes by itself on the list of networks.
May import: Flask, panel.web."""

from __future__ import annotations

from flask import render_template, request

from panel.web.networks import page


def regions() -> dict[str, str]:
    """Regions for `/live?topics=networks&…`, with the parameters of the list's own URL."""
    values = page.list_values(request.args)
    part = "networks/_table.html" if values["total"] else "networks/_empty.html"
    return {
        f"#{values['region']}": render_template(part, **values),
        "#engines": render_template("networks/_engines.html", **values),
    }
