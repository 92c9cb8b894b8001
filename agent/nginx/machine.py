"""What this machine gives to nginx: the workers' user, name servers, IPv6.
May import: agent.config, agent.nginx.layout and agent.nginx.wrapper."""

from __future__ import annotations

import os
import pwd
import socket
import stat
from pathlib import Path

from agent.config import AgentConfig
from agent.nginx.layout import Layout
from agent.nginx.wrapper import Machine, resolvers

_USERS = ("www-data", "nginx", "nobody")
# In every network but the oldest, "bridge" (Docker: "DNS services").
_DOCKER_RESOLVER = "127.0.0.11"
_RESOLV_CONF = Path("/etc/resolv.conf")


def detect(config: AgentConfig, layout: Layout) -> tuple[Machine, list[str]]:
    """The machine and warnings for people. Reads /etc/resolv.conf and the password database."""
    if config.nginx_container:
        return _container(config), []
    user, warnings = _worker_user(config, layout)
    servers = resolvers(_RESOLV_CONF.read_text(errors="replace")) if _RESOLV_CONF.exists() else ()
    if not servers:
        warnings.append(
            "This machine has no name server in /etc/resolv.conf: upstreams given by name cannot be reached."
        )
    machine = Machine(user, servers, has_ipv6(), config.status_port, config.http_port, config.shutdown_seconds)
    return machine, warnings


def _container(config: AgentConfig) -> Machine:
    """In a container nginx is root, its image has its user, and Docker answers for names of containers and others."""
    user, ports = config.nginx_user or "nginx", (config.status_port, config.http_port)
    return Machine(
        user,
        (_DOCKER_RESOLVER,),
        has_ipv6(),
        *ports,
        config.shutdown_seconds,
        is_container=True,
        https_port=config.https_port,
    )


def has_ipv6() -> bool:
    """Whether nginx can listen on [::] here."""
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _worker_user(config: AgentConfig, layout: Layout) -> tuple[str, list[str]]:
    """Only root may choose a user. Workers that cannot reach their folders would fail on every larger request."""
    if os.geteuid() != 0:
        return "", []
    names = (config.nginx_user,) if config.nginx_user else _USERS
    entry = next((found for found in map(_lookup, names) if found), None)
    if entry is None:
        return "root", [f"There is no user {' or '.join(names)} on this machine: nginx's workers run as root."]
    blocked = _blocked_folder(entry, layout.temp) or _blocked_folder(entry, layout.webroot)
    if blocked:
        return "root", [f"{entry.pw_name} cannot enter {blocked}: nginx's workers run as root. Move the state folder."]
    return entry.pw_name, []


def _lookup(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _blocked_folder(user: pwd.struct_passwd, path: Path) -> Path | None:
    """The first folder on the way to `path`, itself included, that the user may not enter."""
    groups = set(os.getgrouplist(user.pw_name, user.pw_gid))
    for folder in [*reversed(path.parents), path]:
        facts = folder.stat()
        bit = stat.S_IXOTH
        if facts.st_uid == user.pw_uid:
            bit = stat.S_IXUSR
        elif facts.st_gid in groups:
            bit = stat.S_IXGRP
        if not facts.st_mode & bit:
            return folder
    return None
