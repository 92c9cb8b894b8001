"""What surrounds a service: the application's settings and vault, and where the present work comes from.
May import: flask.current_app, panel.config, panel.vault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

from flask import current_app

from panel.config import Config
from panel.vault import Vault

COMMAND_LINE = "command line"
PANEL = "panel"  # the panel itself: its clock, or what follows from something else
AGENT = "agent:"  # before an agent's id

_origin: ContextVar[str] = ContextVar("origin", default=PANEL)


def config() -> Config:
    """The settings of this application."""
    found: Config = current_app.config["WAYPOST"]
    return found


def vault() -> Vault:
    """Seals and opens with this application's secret key."""
    return _vault(config().secret_key)


def origin() -> str:
    """Where the present work comes from: an address, COMMAND_LINE, PANEL, or AGENT and an id."""
    return _origin.get()


def set_origin(text: str) -> None:
    """Says where the work of this greenlet comes from until somebody says otherwise. For the doors."""
    _origin.set(text)


@contextmanager
def coming_from(text: str) -> Iterator[None]:
    """Says where the work within comes from. For the doors."""
    token = _origin.set(text)
    try:
        yield
    finally:
        _origin.reset(token)


@lru_cache(maxsize=4)
def _vault(secret_key: str) -> Vault:
    return Vault(secret_key)
