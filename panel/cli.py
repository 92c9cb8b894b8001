"""Door 4, the terminal: commands for people and agents when no page is at hand.
May import: panel.services, panel.models, panel.extensions, panel.config, panel.errors."""

from __future__ import annotations

from flask import Flask


def register(app: Flask) -> None:
    """Adds `flask admin …` and `flask agent …`."""
