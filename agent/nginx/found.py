"""Which nginx is this agent's: one on the machine, or one in a container.
May import: agent.config, agent.docker, agent.nginx.{container,controller,interface,layout}."""

from __future__ import annotations

from agent.config import AgentConfig
from agent.docker.engine import DEFAULT_HOST, Engine
from agent.nginx.container import ContainerNginx
from agent.nginx.controller import LocalNginx
from agent.nginx.interface import Nginx
from agent.nginx.layout import Layout


def find_nginx(config: AgentConfig, layout: Layout) -> Nginx:
    """The nginx that the settings name. Nothing is asked of it yet."""
    if config.nginx_container:
        return ContainerNginx(config, layout, Engine(config.docker_host or DEFAULT_HOST))
    return LocalNginx(config, layout)
