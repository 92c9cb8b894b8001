"""What the application whose context is open was set up with: its settings, and the vault for its secrets.
May import: flask.current_app, panel.config, panel.vault."""

from __future__ import annotations

from functools import lru_cache

from flask import current_app

from panel.config import Config
from panel.vault import Vault


def config() -> Config:
    """The settings of this application."""
    found: Config = current_app.config["WAYPOST"]
    return found


def vault() -> Vault:
    """Seals and opens with this application's secret key."""
    return _vault(config().secret_key)


@lru_cache(maxsize=4)
def _vault(secret_key: str) -> Vault:
    return Vault(secret_key)
