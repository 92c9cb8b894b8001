"""Door 1, people: registers blueprints, access, errors, filters and headers on the app.
May import: panel.web, panel.services and below; never panel.rpc, panel.clock or protobuf."""

from __future__ import annotations

from flask import Flask

from panel.web import access, errors, filters, security, shell, shown, statics, timing
from panel.web.account import routes as account
from panel.web.agents import routes as agents
from panel.web.audit import routes as audit
from panel.web.auth import routes as auth
from panel.web.certificates import routes as certificates
from panel.web.changes import routes as changes
from panel.web.containers import routes as containers
from panel.web.health import routes as health
from panel.web.home import routes as home
from panel.web.hosts import routes as hosts
from panel.web.invite import routes as invite
from panel.web.jobs import routes as jobs
from panel.web.live import routes as live
from panel.web.networks import routes as networks
from panel.web.notifications import routes as notifications
from panel.web.palette import routes as palette
from panel.web.settings import routes as settings
from panel.web.setup import routes as setup
from panel.web.users import routes as users

NOUNS = (
    account,
    agents,
    audit,
    auth,
    certificates,
    changes,
    containers,
    health,
    home,
    hosts,
    invite,
    jobs,
    live,
    networks,
    notifications,
    palette,
    settings,
    setup,
    users,
)


def register(app: Flask) -> None:
    """Gives the app its pages. `app.config["WAYPOST"]` must be set and the extensions initialised."""
    for part in (timing, security, statics, access, errors, filters, shell, shown):
        part.register(app)
    for noun in NOUNS:
        app.register_blueprint(noun.bp)
