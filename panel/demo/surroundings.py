"""What the agents of the demo say of Docker, of upstreams, and of a file that somebody changed by hand.
May import: panel.models, panel.services."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Any

from panel.models import ProxyHost
from panel.services import upstreams
from panel.services.drift import Edit

_NETWORKS = (
    ("monitoring", "172.20.0.0/16", ("grafana", "prometheus", "kuma", "nginx"), True),
    ("web", "172.19.0.0/16", ("docs", "gitea", "nextcloud", "nginx"), True),
    ("analytics", "172.21.0.0/16", ("matomo", "matomo-db"), False),
    ("bridge", "172.17.0.0/16", ("backup",), False),
)
_CONTAINERS = (
    ("nginx", "nginx:1.22", ("web", "172.19.0.2"), (80, 443), True),
    ("docs", "squidfunk/mkdocs-material:9", ("web", "172.19.0.4"), (80,), False),
    ("gitea", "gitea/gitea:1.24", ("web", "172.19.0.5"), (3000,), False),
    ("nextcloud", "nextcloud:31-apache", ("web", "172.19.0.6"), (80,), False),
    ("grafana", "grafana/grafana:12.2.0", ("monitoring", "172.20.0.4"), (3000,), False),
    ("prometheus", "prom/prometheus:v3.6.0", ("monitoring", "172.20.0.5"), (9090,), False),
    ("kuma", "louislam/uptime-kuma:2", ("monitoring", "172.20.0.6"), (3001,), False),
    ("matomo", "matomo:5-apache", ("analytics", "172.21.0.3"), (80,), False),
    ("matomo-db", "mariadb:11", ("analytics", "172.21.0.2"), (3306,), False),
    ("backup", "restic/rest-server:0.14", ("bridge", "172.17.0.3"), (8000,), False),
)


def docker() -> dict[str, Any]:
    """An Engine with an nginx in a container, as agents report it."""
    return {
        "present": True,
        "problem": "",
        "version": "28.5.1",
        "nginx_container": _id("nginx"),
        "networks": [_network(*row) for row in _NETWORKS],
        "containers": [_container(*row) for row in _CONTAINERS],
    }


def health(hosts: Iterable[ProxyHost], refused: frozenset[str], now: datetime) -> list[dict[str, Any]]:
    """How each upstream was at the last look. `refused`: the addresses where nothing listens."""
    rows = {}
    for host in hosts:
        place = upstreams.of_host(host)
        text = f"{place.host}:{place.port}"
        is_ok = text not in refused
        rows[place] = {
            "scheme": place.scheme,
            "host": place.host,
            "port": place.port,
            "ok": is_ok,
            "cause": "" if is_ok else "refused",
            "sentence": "" if is_ok else f"{text} refuses connections: nothing listens there.",
            "next_step": "" if is_ok else "Start the program that should listen there, or change the host's port.",
            "container": "",
            "network": "",
            "checked_at": now.isoformat(),
            "milliseconds": 2 + len(text) % 7,
        }
    return list(rows.values())


def edit(path: str, original: str) -> Edit:
    """Somebody raised a limit with an editor, and told nobody."""
    text = original.replace("server {", "server {\n    client_max_body_size 512m;  # by hand, see ticket 4711", 1)
    digest = sha256(original.encode()).hexdigest()
    return Edit(path, "changed", digest, text, original, is_truncated=False, is_loaded=False)


def _network(name: str, subnet: str, containers: tuple[str, ...], is_attached: bool) -> dict[str, Any]:
    return {
        "id": _id(name),
        "name": name,
        "driver": "bridge",
        "scope": "local",
        "subnets": [subnet],
        "internal": False,
        "containers": list(containers),
        "attached": is_attached,
        "wanted": is_attached,
        "aliases": [],
        "attach_refusal": "",
        "detach_refusal": "",
        "missing": False,
    }


def _container(name: str, image: str, place: tuple[str, str], ports: tuple[int, ...], is_own: bool) -> dict[str, Any]:
    network, address = place
    return {
        "id": _id(f"{name}/{image}"),
        "name": name,
        "image": image,
        "state": "running",
        "health": "",
        "ports": [{"private": port, "public": port if is_own else 0, "protocol": "tcp"} for port in ports],
        "endpoints": [{"network": network, "address": address, "aliases": [name]}],
        "labels": {},
        "own": is_own,
    }


def _id(text: str) -> str:
    return sha256(text.encode()).hexdigest()
