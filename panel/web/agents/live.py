"""What changes by itself on pages about agents: the cards, one agent's page, an arrival.
May import: Flask, panel.web, panel.services."""

from __future__ import annotations

from flask import current_app, render_template, request

from panel.models.types import utcnow
from panel.services import agents
from panel.web import sse
from panel.web.agents import page, view


def regions() -> dict[str, str]:
    """Regions for `/live?topics=agents`: the cards of `&rows=`, or with `&agent=<id>` what that agent's pages show."""
    wanted = request.args.get("agent", "")
    shown = request.args.get("rows", "").split(",") if "rows" in request.args else None
    now, config = utcnow(), current_app.config["WAYPOST"]
    everyone = [
        one for one in agents.list_all() if one.id == wanted or not (wanted or shown) or one.id in (shown or ())
    ]
    found = {}
    for agent, card in zip(everyone, view.cards(everyone, now, config), strict=True):
        sse.breathe()
        if wanted:
            found[f"#arrival-{agent.id}"] = render_template("agents/_arrival.html", card=card)
            found[f"#agent-page-{agent.id}"] = render_template("agents/_agent.html", **page.values(agent, now, config))
        else:
            found[f"#agent-{agent.id}"] = render_template("agents/_card.html", card=card)
    return found
