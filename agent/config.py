"""The agent's settings, read once from the environment; its only reader of os.environ.
May import: the standard library only."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# nginx reads these paths inside quotes and as glob patterns; all else would need escaping that nginx does not have.
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9 ._+@,=:/-]*")


class ConfigError(Exception):
    """A setting that cannot be used; the sentence names the variable."""


@dataclass(frozen=True)
class AgentConfig:
    """Everything that is decided at deploy time. Ports are TCP ports."""

    state_dir: Path
    panel_url: str = ""
    join_token: str = ""
    join_token_file: Path | None = None
    nginx_binary: str = "nginx"
    nginx_user: str = ""
    nginx_container: str = ""
    docker_host: str = "unix:///var/run/docker.sock"
    http_port: int = 7880
    https_port: int = 7443
    status_port: int = 7803
    letsencrypt_dir: Path = Path("/etc/letsencrypt")
    shutdown_seconds: int = 600
    failpoint: str = ""
    watchdog: int = 60

    @property
    def identity_dir(self) -> Path:
        """Where the agent's key and certificate live (0700)."""
        return self.state_dir / "identity"

    @property
    def nginx_dir(self) -> Path:
        """Everything that nginx reads or writes."""
        return self.state_dir / "nginx"

    @property
    def journal_path(self) -> Path:
        """The SQLite file of accepted commands."""
        return self.state_dir / "journal.sqlite3"

    @property
    def acme_dir(self) -> Path:
        """What the agent remembers of certificates, and its account keys (0700)."""
        return self.state_dir / "acme"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> AgentConfig:
        """Reads AGENT_* and LETSENCRYPT_DIR. Raises ConfigError with the variable's name."""
        env = os.environ if environ is None else environ
        token_file = env.get("AGENT_JOIN_TOKEN_FILE", "")
        return cls(
            state_dir=_path(env, "AGENT_STATE_DIR", "var/agent"),
            panel_url=_url(env, "AGENT_PANEL_URL"),
            join_token=env.get("AGENT_JOIN_TOKEN", "").strip(),
            join_token_file=Path(token_file) if token_file else None,
            nginx_binary=env.get("AGENT_NGINX_BINARY", cls.nginx_binary),
            nginx_user=_user(env, "AGENT_NGINX_USER"),
            nginx_container=_container(env, "AGENT_NGINX_CONTAINER"),
            docker_host=_docker_host(env, "AGENT_DOCKER_HOST", cls.docker_host),
            http_port=_port(env, "AGENT_HTTP_PORT", cls.http_port),
            https_port=_port(env, "AGENT_HTTPS_PORT", cls.https_port),
            status_port=_port(env, "AGENT_STATUS_PORT", cls.status_port),
            letsencrypt_dir=_path(env, "LETSENCRYPT_DIR", str(cls.letsencrypt_dir)),
            shutdown_seconds=_seconds(env, "AGENT_WORKER_SHUTDOWN_SECONDS", cls.shutdown_seconds),
            failpoint=env.get("AGENT_FAILPOINT", ""),
            watchdog=_seconds(env, "AGENT_WATCHDOG", cls.watchdog),
        )

    def read_join_token(self) -> str:
        """The token itself or the first line of its file; empty when neither exists. Read again at each attempt,
        because the panel may write the file after the agent started. Raises ConfigError."""
        if self.join_token or self.join_token_file is None:
            return self.join_token
        try:
            return self.join_token_file.read_text().strip()
        except FileNotFoundError:
            return ""
        except OSError as error:
            reason = error.strerror
            raise ConfigError(f"AGENT_JOIN_TOKEN_FILE: {self.join_token_file} cannot be read ({reason}).") from error


def _path(env: Mapping[str, str], name: str, default: str) -> Path:
    path = Path(env.get(name) or default).absolute()
    if not _PLAIN_PATH.fullmatch(str(path)):
        raise ConfigError(f"{name}: use a path of letters, digits, spaces and ._+@,=:- only, not {str(path)!r}.")
    return path


def _url(env: Mapping[str, str], name: str) -> str:
    url = env.get(name, "").strip().rstrip("/")
    if url and not re.fullmatch(r"https?://[^/\s?#@]+(/[^\s?#]*)?", url):
        raise ConfigError(f"{name}: use an address like http://panel.example.com:7800, not {url!r}.")
    return url


def _user(env: Mapping[str, str], name: str) -> str:
    user = env.get(name, "")
    if user and not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user):
        raise ConfigError(f"{name}: use the name of a user, not {user!r}.")
    return user


def _container(env: Mapping[str, str], name: str) -> str:
    container = env.get(name, "")
    if container and not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}", container):
        raise ConfigError(f"{name}: use the name of a container, not {container!r}.")
    return container


def _docker_host(env: Mapping[str, str], name: str, default: str) -> str:
    """The Engine's address; an empty one switches Docker off."""
    host = env.get(name, default).strip()
    if host in {"", "off"}:
        return ""
    if not re.fullmatch(r"unix:///[A-Za-z0-9._/-]+|(tcp|https?)://[A-Za-z0-9.:\[\]-]+", host):
        raise ConfigError(f"{name}: use an address like unix:///var/run/docker.sock or tcp://proxy:2375, not {host!r}.")
    return host


def _seconds(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 86_400:
        raise ConfigError(f"{name}: use a number of seconds from 1 to 86400, not {text!r}.")
    return int(text)


def _port(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise ConfigError(f"{name}: use a port from 1 to 65535, not {text!r}.")
    return int(text)
