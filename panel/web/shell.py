"""What surrounds every page: counts in the navigation, the running jobs, the theme.
May import: Flask, panel.i18n, panel.services, panel.web.htmx, panel.web.script_words."""

from __future__ import annotations

from flask import Flask, current_app, g, render_template, request

from panel import __version__
from panel.config import Config
from panel.i18n import LANGUAGES, language
from panel.services import counts
from panel.web import htmx
from panel.web.script_words import script_words

THEMES = ("light", "dark")
# What changes the numbers that stand on every page.
NEWS = ("jobs", "hosts", "agents", "certificates")
COUNTED = ("hosts", "certificates", "agents")
MENUS = ("nav", "menu")  # beside the page, and the one that opens on phones


def register(app: Flask) -> None:
    """Gives layouts what surrounds pages: `shell()`, `theme()`, `language()` …; nothing is read until one asks."""
    app.add_template_global(shell)
    app.add_template_global(theme)
    app.add_template_global(htmx.queued_toasts)
    app.add_template_global(language)
    app.add_template_global(script_words)
    app.jinja_env.globals.update(version=__version__, languages=LANGUAGES)


def shell() -> counts.Counts:
    """The numbers of the navigation, read once per request."""
    if "shell" not in g:
        config: Config = current_app.config["WAYPOST"]
        g.shell = counts.read(stale_after=config.stale_after)
    numbers: counts.Counts = g.shell
    return numbers


def regions() -> dict[str, str]:
    """What may change on every page: the running jobs and the counts of both menus, by selector."""
    found = {"#job-pill": render_template("jobs/_pill.html")}
    for noun in COUNTED:
        html = render_template(f"components/_count_{noun}.html")
        found |= {f"#{menu}-{noun}": html for menu in MENUS}
    return found


def theme() -> str:
    """The theme this browser chose; "" follows the system."""
    chosen = request.cookies.get("theme", "")
    return chosen if chosen in THEMES else ""
