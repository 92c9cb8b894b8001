"""The panel as a host of its own nginx: where an agent reaches it, the host that publishes it, what it must be told.
May import: panel.services.{accounts,deployments,docker_facts,proxy_hosts}, panel.models, panel.config and below."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select

from panel.config import Config
from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import Agent, Command, ProxyHost, User
from panel.services import accounts, deployments, docker_facts, proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - to be recognized, nothing listens there
_OWN_NAME = "panel"  # of the panel's container in compose.yaml
_NOTES = "This panel. Made under Settings."


@dataclass(frozen=True)
class Reach:
    """The panel's address as nginx of one agent reaches it. `host` is empty when that cannot be known; `why` says how
    it is known, or what to find out."""

    host: str
    port: int
    why: str


@dataclass(frozen=True)
class Setting:
    """A variable of the panel with the value that it needs behind its host, why, and whether it has that already."""

    name: str
    value: str
    why: str
    is_set: bool


def candidates() -> Sequence[Agent]:
    """The agents that could publish the panel, by name."""
    query = select(Agent).where(Agent.revoked_at.is_(None), Agent.joined_at.is_not(None)).order_by(Agent.name)
    return db.session.scalars(query).all()


def choose(agents: Sequence[Agent], wanted_id: str, config: Config) -> Agent | None:
    """The wanted one, else the one on the panel's machine, else the first; None without agents."""
    wanted = next((agent for agent in agents if agent.id == wanted_id), None)
    beside = next((agent for agent in agents if is_beside(agent, config)), None)
    return wanted or beside or (agents[0] if agents else None)


def is_beside(agent: Agent, config: Config) -> bool:
    """Whether the agent runs on the panel's machine, as far as that can be told."""
    return agent.name == config.bundled_agent or (bool(agent.hostname) and agent.hostname == socket.gethostname())


def reach(agent: Agent, config: Config) -> Reach:
    """Where nginx of this agent finds the panel, from what the panel was started with and Docker's report."""
    docker = docker_facts.of(agent)
    if docker.is_nginx_contained:
        own = next((one for one in docker.containers if one.is_own and _OWN_NAME in one.names), None)
        if own is not None:
            return Reach(
                _OWN_NAME, config.port, _("nginx and the panel are containers; the panel's is %(name)s.", name=own.name)
            )
        why = _(
            "nginx runs in a container, where 127.0.0.1 is that container itself. Enter an address that it reaches."
        )
        return Reach("", config.port, why)
    if is_beside(agent, config):
        host = "127.0.0.1" if config.host in LOOPBACK | _EVERYWHERE else config.host
        return Reach(host, config.port, _("The agent is on the panel's machine, and the panel listens there."))
    if config.host in LOOPBACK:
        why = _(
            "%(name)s is on another machine, and the panel listens on its own machine only (PANEL_HOST=%(host)s). "
            "Start it with an address that %(name)s reaches, or choose another agent.",
            name=agent.name,
            host=config.host,
        )
        return Reach("", config.port, why)
    if config.host in _EVERYWHERE:
        why = _("The panel listens on all its addresses. Enter the one that %(name)s reaches.", name=agent.name)
        return Reach("", config.port, why)
    why = _("The panel listens on %(host)s; %(name)s must reach it there.", host=config.host, name=agent.name)
    return Reach(config.host, config.port, why)


def find(config: Config) -> ProxyHost | None:
    """The host that leads to this panel, the newest of several."""
    query = select(ProxyHost).where(ProxyHost.forward_port == config.port, ProxyHost.deleted_at.is_(None))
    hosts = db.session.scalars(query.order_by(ProxyHost.id.desc()).limit(50)).unique().all()
    return next((host for host in hosts if host.forward_host == reach(host.agent, config).host or _is_made(host)), None)


def publish(spec: ProxyHostSpec, actor: User | None) -> tuple[ProxyHost, Command]:
    """Makes the host and applies it at once; a certificate comes as for every host. Raises Forbidden, Invalid(field).

    HTTP/2 is on, because each open page of the panel holds a stream and a browser opens six connections over HTTP/1.1.
    Streams say themselves that they must not be buffered, and ping more often than nginx's read timeout.
    """
    accounts.require_administrator(actor)
    host = proxy_hosts.create(spec, actor)
    return host, deployments.apply(host.agent, actor, at_once=True)


def spec(agent_id: str, name: str, forward_host: str, forward_port: int) -> ProxyHostSpec:
    """The host as it is made. The panel uses no WebSocket."""
    return ProxyHostSpec(agent_id, (name,), "http", forward_host, forward_port, websocket=False, notes=_NOTES)


def settings(host: ProxyHost, config: Config) -> list[Setting]:
    """What the panel must be started with behind this host."""
    port = host.agent.https_port
    url = f"https://{host.primary_name}" + ("" if port == 443 else f":{port}")
    return [
        Setting(
            "PANEL_PUBLIC_URL",
            url,
            _("So that links in invitations and messages lead here."),
            config.public_url == url,
        ),
        Setting(
            "PANEL_TRUSTED_PROXIES",
            "1",
            _("So that the address of each visitor is known, for slowing down guesses and for the record."),
            config.trusted_proxies >= 1,
        ),
        Setting(
            "PANEL_SECURE_COOKIES",
            "1",
            _("So that a login is never sent over plain HTTP."),
            config.secure_cookies,
        ),
    ]


def _is_made(host: ProxyHost) -> bool:
    return host.notes == _NOTES
