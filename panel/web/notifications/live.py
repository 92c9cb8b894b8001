"""What changes by itself on the page about notifications.
May import: Flask, panel.web, panel.services."""

from __future__ import annotations

from flask import current_app, render_template

from panel.services import channels, notifications
from panel.web.notifications import view


def regions() -> dict[str, str]:
    """Regions for `/live?topics=notifications`: the channels, and the first page of what was sent."""
    config = current_app.config["WAYPOST"]
    page = notifications.list_page()
    messages = [view.message(row) for row in page.items]
    shown = [view.channel(row, config) for row in channels.list_all()]
    return {
        "#channels": render_template("notifications/_channels.html", channels=shown),
        "#messages": render_template("notifications/_messages.html", messages=messages, page=page),
    }
