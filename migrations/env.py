"""Runs the migrations inside the Flask application: `flask --app wsgi db upgrade`.
May import: alembic, and the application's own models by way of Flask-Migrate."""

from __future__ import annotations

from logging.config import fileConfig
from typing import Any, Literal

from alembic import context
from flask import current_app
from sqlalchemy import Engine, MetaData

from panel.models.types import UTCDateTime

if context.config.config_file_name is not None:
    fileConfig(context.config.config_file_name, disable_existing_loggers=False)

extension = current_app.extensions["migrate"]
engine: Engine = extension.db.engine
metadata: MetaData = extension.db.metadatas[None]


def render_item(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    """Writes our own column type as the plain one below it, so that old migrations never need today's code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UTCDateTime) else False


def skip_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """Writes no migration when the models have not changed."""
    if getattr(context.config.cmd_opts, "autogenerate", False) and directives[0].upgrade_ops.is_empty():
        directives.clear()


settings = {
    **extension.configure_args,
    "target_metadata": metadata,
    "render_item": render_item,
    "process_revision_directives": skip_empty,
}

if context.is_offline_mode():
    context.configure(url=engine.url.render_as_string(hide_password=False), literal_binds=True, **settings)
    with context.begin_transaction():
        context.run_migrations()
else:
    with engine.connect() as connection:
        context.configure(connection=connection, **settings)
        with context.begin_transaction():
            context.run_migrations()
