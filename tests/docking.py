"""What agents report of Docker and of upstreams, for tests: plain values as the panel stores them.
May import: panel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import Flask

from panel.extensions import db, transaction
from panel.models import Agent
from panel.models.types import utcnow
from panel.services import docker_reports

HOSTILE = '"><img src=x onerror=alert(1)>'
OPTION = "--privileged"
NGINX = "waypost-nginx-1"


def network(name: str, *containers: str, **values: Any) -> dict[str, Any]:
    """A bridge that nginx is not in."""
    plain = {
        "id": f"id-of-{name}",
        "name": name,
        "driver": "bridge",
        "scope": "local",
        "subnets": ["172.20.0.0/16"],
        "internal": False,
        "containers": list(containers),
        "attached": False,
        "wanted": False,
        "aliases": [],
        "attach_refusal": "",
        "detach_refusal": "",
        "missing": False,
    }
    return {**plain, **values}


def container(name: str, *networks: str, ports: Sequence[tuple[int, int]] = (), **values: Any) -> dict[str, Any]:
    """A running one with an address in each of its networks; `ports` are (private, public)."""
    plain = {
        "id": f"id-of-{name}",
        "name": name,
        "image": f"{name}:1",
        "state": "running",
        "health": "",
        "ports": [{"private": private, "public": public, "protocol": "tcp"} for private, public in ports],
        "endpoints": [
            {"network": one, "address": f"172.2{number}.0.9", "aliases": []} for number, one in enumerate(networks)
        ],
        "labels": {},
        "own": False,
    }
    return {**plain, **values}


def report(
    networks: Sequence[dict[str, Any]] = (), containers: Sequence[dict[str, Any]] = (), **values: Any
) -> dict[str, Any]:
    """Of an Engine that can be reached, with nginx in a container."""
    plain = {"present": True, "problem": "", "version": "27.3.1", "nginx_container": NGINX}
    return {**plain, "networks": list(networks), "containers": list(containers), **values}


def upstream(host: str, port: int, cause: str = "", **values: Any) -> dict[str, Any]:
    """One that is reached, or with a cause one that is not."""
    plain = {
        "scheme": "http",
        "host": host,
        "port": port,
        "ok": not cause,
        "cause": cause,
        "sentence": f"{host} was looked at.",
        "next_step": f"Mend {host}." if cause else "",
        "container": "",
        "network": "",
        "checked_at": utcnow().isoformat(),
        "milliseconds": 3,
    }
    return {**plain, **values}


def tell(agent: Agent, said: dict[str, Any]) -> Agent:
    """The agent reports this of Docker, in the context that is open."""
    with transaction():
        known = db.session.get_one(Agent, agent.id)
        docker_reports.observe(known, said, utcnow())
    return known


def tell_upstreams(agent: Agent, *states: dict[str, Any]) -> Agent:
    """The agent reports this of what its hosts lead to."""
    with transaction():
        known = db.session.get_one(Agent, agent.id)
        docker_reports.observe_upstreams(known, states, utcnow())
    return known


def bring_online(app: Flask, agent: Agent) -> None:
    """The agent is connected and was heard of now."""
    with app.app_context(), transaction():
        known = db.session.get_one(Agent, agent.id)
        known.is_connected = known.is_synced = True
        known.last_seen_at = utcnow()
