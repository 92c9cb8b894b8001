"""What changes by itself on pages about agents: the cards, one agent's page, an arrival.
May import: Flask, panel.web, panel.services."""

from __future__ import annotations

from flask import current_app, render_template, request

from panel.models.types import utcnow
from panel.services import agents
from panel.web.agents import page, view


def regions() -> dict[str, str]:
    """Regions for `/live?topics=agents`: the cards of the list, with `&agent=<id>` that agent's page, with
    `&arrival=<id>` whether it has come."""
    now, config = utcnow(), current_app.config["WAYPOST"]
    arriving, shown = request.args.get("arrival", ""), request.args.get("agent", "")
    if not (arriving or shown):
        values = page.list_values(request.args, now, config)
        return {f"#{values['region']}": render_template("agents/_cards.html", **values)}
    found = {}
    for agent in agents.list_all():
        if agent.id == arriving:
            card = view.card(agent, now, config)
            found[f"#arrival-{agent.id}"] = render_template("agents/_arrival.html", card=card)
        if agent.id == shown:
            found[f"#agent-page-{agent.id}"] = render_template("agents/_agent.html", **page.values(agent, now, config))
    return found
