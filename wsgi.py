"""Assembles the process: `python wsgi.py` serves, `flask --app wsgi …` administers.
May import: panel.bootstrap first, then panel.serve, panel.app, panel.config."""

from __future__ import annotations

import panel.bootstrap  # noqa: F401 - patches before anything else is imported

import sys

from flask import Flask

from panel import serve
from panel.app import create_app as assemble
from panel.config import Config, ConfigError


def create_app() -> Flask:
    """The application as the environment describes it; a setting that cannot be used ends the program (code 2)."""
    try:
        return assemble(Config.from_env())
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        raise SystemExit(2) from error


if __name__ == "__main__":
    sys.exit(serve.run(create_app()))
