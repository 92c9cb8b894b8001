"""Assembles the process: `python wsgi.py` serves, `flask --app wsgi …` administers.
May import: panel.bootstrap first, then panel.serve or panel.cli, panel.app, panel.config."""

from __future__ import annotations

import panel.bootstrap  # noqa: F401 - patches before anything else is imported

import sys

from flask import Flask

from panel.app import create_app as assemble
from panel.config import Config, ConfigError

# Each of the two has no use for the other; without the migrations' tools the panel is 11 MiB smaller.
if __name__ == "__main__":
    from panel import serve
else:
    from panel import cli


def create_app() -> Flask:
    """The application as the environment describes it; a setting that cannot be used ends the program (code 2)."""
    try:
        app = assemble(Config.from_env())
    except ConfigError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        raise SystemExit(2) from error
    if __name__ != "__main__":
        cli.register(app)
    return app


if __name__ == "__main__":
    sys.exit(serve.run(create_app()))
