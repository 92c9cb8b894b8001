"""What the database is asked: the statements of a block, and how SQLite finds their rows.
May import: panel.extensions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

from flask import Flask
from sqlalchemy import event

from panel.extensions import db


class Statement(NamedTuple):
    """SQL as it reaches the database, and the values that go with it."""

    text: str
    values: Any


@contextmanager
def counted(app: Flask | None = None) -> Iterator[list[Statement]]:
    """The statements that the database is asked meanwhile; give `app` where no context is around the block."""
    found: list[Statement] = []

    def note(_connection: object, _cursor: object, text: str, values: Any, *_rest: object) -> None:
        found.append(Statement(text, values))

    with app.app_context() if app else nullcontext():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(engine, "before_cursor_execute", note)


def plan(statement: Statement) -> str:
    """A line for each step in which SQLite finds the rows."""
    rows = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement.text}", statement.values).all()
    return "\n".join(str(row[-1]) for row in rows)
