"""Runs the migrations inside the Flask application: `flask --app wsgi db upgrade`.
May import: alembic, and the application's own models by way of Flask-Migrate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from logging.config import fileConfig
from typing import Any, Literal

from alembic import context
from flask import current_app
from sqlalchemy import Connection, Engine, MetaData

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


@contextmanager
def tables_replaceable(connection: Connection) -> Iterator[None]:
    """SQLite changes a table by making it anew, which rows of others that refer to it would forbid. They are looked at
    afterwards instead (sqlite.org, "Making Other Kinds Of Table Schema Changes")."""
    if connection.dialect.name != "sqlite":
        yield
        return
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.commit()
    yield
    lost = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    connection.rollback()
    connection.exec_driver_sql("PRAGMA foreign_keys = ON")
    if lost:
        raise RuntimeError(f"rows refer to others that are gone: {lost[:5]}")


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
    with engine.connect() as connection, tables_replaceable(connection):
        context.configure(connection=connection, **settings)
        with context.begin_transaction():
            context.run_migrations()
