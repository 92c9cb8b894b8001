"""Hosts for tests: saved, live, refused; made by the services that the product uses.
May import: panel."""

from __future__ import annotations

from flask import Flask
from sqlalchemy import select

from panel.extensions import db, transaction
from panel.models import Agent, Command, CommandState
from panel.models.types import utcnow
from panel.services import deployments, proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec


def add_host(app: Flask, agent: Agent, *names: str, host: str = "10.0.0.5", port: int = 3000) -> int:
    """A saved host; its id."""
    with app.app_context(), transaction():
        return proxy_hosts.create(ProxyHostSpec(agent.id, names or ("app.example.com",), "http", host, port), None).id


def make_live(app: Flask, agent: Agent) -> None:
    """Everything that is saved for the agent, as if it had proved it."""
    with app.app_context(), transaction():
        known = db.session.get_one(Agent, agent.id)
        command = deployments.apply(known, None, at_once=True)
        deployments.freeze(command)
        command.state = CommandState.SUCCEEDED
        deployments.applied(command, command.payload["revision"])
        known.is_connected = known.is_synced = True
        known.last_seen_at = utcnow()


def set_aside(app: Flask, host_id: int) -> None:
    """nginx refused the host as it is saved."""
    with app.app_context(), transaction():
        words = 'host not found in upstream "nowhere" <b>'
        proxy_hosts.set_aside(proxy_hosts.get(host_id), words, line=12, field="forward_host")


def commands(app: Flask) -> list[Command]:
    with app.app_context():
        return list(db.session.scalars(select(Command).order_by(Command.seq)))
