"""The migrations make the tables that the models describe, and unmake them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import JSON, Connection, MetaData, Table, inspect, select, text

from panel import cli
from panel.app import create_app
from panel.config import Config
from panel.extensions import Base, db
from panel.models import Command


@pytest.fixture
def empty_app(config: Config) -> Iterator[Flask]:
    app = create_app(config)
    cli.register(app)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.mark.usefixtures("empty_app")
def test_upgrading_an_empty_database_makes_exactly_the_models_tables() -> None:
    upgrade()
    with db.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), Base.metadata)
    assert differences == []


@pytest.mark.usefixtures("empty_app")
def test_downgrading_leaves_nothing_and_upgrading_again_works() -> None:
    upgrade()
    downgrade(revision="base")
    assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
    upgrade()
    assert "proxy_host" in inspect(db.engine).get_table_names()


@pytest.mark.usefixtures("empty_app")
def test_commands_lose_their_copies_of_manifests_and_keep_all_else() -> None:
    """In the tables of before, which the models no longer describe."""
    upgrade(revision="3f6b9d2e71ac")
    old = MetaData()
    old.reflect(db.engine)
    now = datetime(2026, 11, 23, tzinfo=UTC).replace(tzinfo=None)
    payloads = {"one": {"revision": "r", "generation": 3, "manifest": {"http.conf": "0" * 64}}, "two": {"x": 1}}
    with db.engine.begin() as connection:
        for number, (command_id, payload) in enumerate(payloads.items()):
            _insert(connection, old.tables["agent"], {"id": command_id, "name": command_id, "created_at": now})
            row = {"id": command_id, "agent_id": command_id, "seq": number, "payload": payload}
            _insert(connection, old.tables["command"], {**row, "created_at": now, "expires_at": now})
    upgrade()
    found = {row.id: row.payload for row in db.session.execute(select(Command.id, Command.payload))}
    assert found == {"one": {"revision": "r", "generation": 3, "files": 1}, "two": {"x": 1}}


@pytest.mark.usefixtures("empty_app")
def test_rows_that_refer_to_others_outlive_every_migration() -> None:
    """SQLite makes a table anew to change it; what others refer to must still be there."""
    upgrade(revision="3f6b9d2e71ac")
    old = MetaData()
    old.reflect(db.engine)
    now = datetime(2026, 11, 23, tzinfo=UTC).replace(tzinfo=None)
    rows: dict[str, dict[str, object]] = {
        "agent": {"id": "a", "name": "local", "created_at": now},
        "command": {"id": "c", "agent_id": "a", "seq": 1, "payload": {}, "created_at": now, "expires_at": now},
        "command_output": {"command_id": "c", "seq": 1, "at": now, "text": "kept"},
        "proxy_host": {"id": 1, "agent_id": "a", "domain_names": ["a.b"], "created_at": now, "changed_at": now},
        "domain_name": {"agent_id": "a", "name": "a.b", "proxy_host_id": 1},
    }
    with db.engine.begin() as connection:
        for name, values in rows.items():
            _insert(connection, old.tables[name], values)
    for change, revision in ((upgrade, "head"), (downgrade, "3f6b9d2e71ac"), (upgrade, "head")):
        change(revision=revision)
        with db.engine.connect() as connection:
            counts = {name: connection.scalar(text(f"SELECT count(*) FROM {name}")) for name in rows}
        assert counts == dict.fromkeys(rows, 1)


def _insert(connection: Connection, table: Table, values: dict[str, object]) -> None:
    """The values, and something in every other column that must have something."""
    kinds: dict[type, object] = {int: 0, bool: False, str: "", float: 0.0}
    needed = {
        column.name: kinds.get(column.type.python_type, [] if isinstance(column.type, JSON) else "")
        for column in table.columns
        if not column.nullable and column.name not in values and column.server_default is None
    }
    connection.execute(table.insert().values(**needed, **values))


def test_every_constraint_has_a_name() -> None:
    constraints = [constraint for table in Base.metadata.tables.values() for constraint in table.constraints]
    assert all(constraint.name for constraint in constraints)
