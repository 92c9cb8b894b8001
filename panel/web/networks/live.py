"""What changes by itself on the list of networks.
May import: Flask, panel.web."""

from __future__ import annotations

from flask import render_template, request

from panel.web.networks import page


def regions() -> dict[str, str]:
    """Regions for `/live?topics=networks&…`, with the parameters of the list's own URL."""
    values = page.list_values(request.args)
    return {
        f"#{values['region']}": render_template("networks/_table.html", **values),
        "#engines": render_template("networks/_engines.html", **values),
    }
