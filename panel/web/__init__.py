"""Door 1, people: registers blueprints, access, errors, filters and headers on the app.
May import: panel.web, panel.services and below; never panel.rpc, panel.clock or protobuf."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

from flask import Blueprint, Flask

from panel.web import access, errors, filters, security, shell, statics


def register(app: Flask) -> None:
    """Gives the app its pages. `app.config["WAYPOST"]` must be set and the extensions initialised."""
    security.register(app)
    statics.register(app)
    access.register(app)
    errors.register(app)
    filters.register(app)
    shell.register(app)
    for blueprint in _blueprints():
        app.register_blueprint(blueprint)


def _blueprints() -> Iterator[Blueprint]:
    """Each folder here that has a routes.py: its `bp`. A new noun is a new folder and nothing else."""
    for module in pkgutil.iter_modules(__path__):
        name = f"{__name__}.{module.name}.routes"
        if module.ispkg and find_spec(name):
            yield import_module(name).bp
