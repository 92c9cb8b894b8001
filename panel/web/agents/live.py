"""What changes by itself on pages about agents: the cards, one agent's page, an arrival.
May import: Flask, panel.web, panel.services."""

from __future__ import annotations

from flask import current_app, render_template, request

from panel.models.types import utcnow
from panel.services import agents
from panel.web import sse
from panel.web.agents import page, view


def regions() -> dict[str, str]:
    """Regions for `/live?topics=agents`: every card, or with `&agent=<id>` what that agent's pages show."""
    wanted = request.args.get("agent", "")
    now, config = utcnow(), current_app.config["WAYPOST"]
    if not wanted:
        cards = view.cards(agents.list_all(), now, config)
        return {"#agent-cards": render_template("agents/_cards.html", cards=cards)}
    found = {}
    for agent in agents.list_all():
        if agent.id == wanted:
            sse.breathe()
            card = view.card(agent, now, config)
            found[f"#arrival-{agent.id}"] = render_template("agents/_arrival.html", card=card)
            found[f"#agent-page-{agent.id}"] = render_template("agents/_agent.html", **page.values(agent, now, config))
    return found
