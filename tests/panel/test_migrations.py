"""The migrations make the tables that the models describe, and unmake them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import inspect

from panel import cli
from panel.app import create_app
from panel.config import Config
from panel.extensions import Base, db


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


def test_every_constraint_has_a_name() -> None:
    constraints = [constraint for table in Base.metadata.tables.values() for constraint in table.constraints]
    assert all(constraint.name for constraint in constraints)
