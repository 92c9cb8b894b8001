"""The values of the overview, the same for the page and for what changes on it by itself.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from typing import Any

from flask import current_app, render_template

from panel.config import Config
from panel.services import attention, certificate_census, checklist, estate, recent_changes
from panel.web.access import actor
from panel.web.audit import view as audit
from panel.web.audit.view import ChangeView
from panel.web.health import checks
from panel.web.home import view

CHANGES_SHOWN = 8
EXPIRIES_SHOWN = 10
# What changes on it: the news of services that it listens to.
NEWS = ("agents", "hosts", "certificates", "jobs", "notifications", "audit")
PARTS = ("attention", "fleet", "changes", "expiries", "checklist")


def values() -> dict[str, Any]:
    """What the overview shows now. The number of queries does not depend on how much there is."""
    config: Config = current_app.config["WAYPOST"]
    everything = estate.read(config)
    census = certificate_census.take(everything.now)
    ending = certificate_census.next_to_end(EXPIRIES_SHOWN)
    return {
        "troubles": attention.find(everything, census, checks.check_all(config)),
        "bars": view.fleet(everything, census),
        "changes": _changes(),
        "expiries": view.expiries(ending, everything.now),
        "certificate_total": census.total,
        "steps": checklist.read(actor()),
        "has_agents": any(agent.has_joined for agent in everything.agents),
    }


def _changes() -> list[tuple[str, ChangeView]]:
    """The newest changes, each with the tone of its shape."""
    entries = recent_changes.read(CHANGES_SHOWN)
    tones = [view.TONES.get(entry.event.verb, "ok") for entry in entries]
    return list(zip(tones, audit.changes(entries, actor()), strict=True))


def regions() -> dict[str, str]:
    """Regions for `/live?topics=overview`: each of its cards."""
    shown = values()
    return {f"#{part}": render_template(f"overview/_{part}.html", **shown) for part in PARTS}
