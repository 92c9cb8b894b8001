"""What every test may ask for: an application on a database of its own, people, an agent."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any, TypeVar

import gevent
import pytest
from argon2 import PasswordHasher
from flask import Flask, has_app_context
from flask.testing import FlaskClient
from jinja2 import Environment
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Dialect, text
from sqlalchemy.engine import Engine
from werkzeug.routing import Rule

from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Role, User
from panel.models.types import utcnow
from panel.services import browser_sessions
from panel.services.browser_sessions import Visit
from tests.postgresql import Cluster, running_cluster

Row = TypeVar("Row")

PASSWORD = "correct horse battery staple"
PASSWORD_HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)

# Servers and clients of gRPC each hold a slot here for as long as they live.
gevent.get_hub().threadpool.maxsize = 256


def pytest_collection_finish() -> None:
    """What is loaded by now stays to the end: the collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _push_request_context() -> None:
    """Takes pytest-flask's place: a request context around a whole test would share one session and one `g`."""


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster | None]:
    """A PostgreSQL of its own when the run asks for it (WAYPOST_TEST_DATABASE=postgresql), else nothing."""
    if os.environ.get("WAYPOST_TEST_DATABASE") != "postgresql":
        yield None
        return
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture
def database_url(tmp_path: Path, postgresql: Cluster | None) -> Iterator[str]:
    """A database of the test's own: a file, or one of the cluster's."""
    if postgresql is None:
        yield f"sqlite:///{tmp_path / 'panel' / 'panel.sqlite3'}"
        return
    with postgresql.database() as url:
        yield url


@pytest.fixture
def config(tmp_path: Path, database_url: str) -> Config:
    return Config(
        state_dir=tmp_path / "panel",
        database_url=database_url,
        secret_key="a-secret-key-for-tests-only-0123456789",
        port=0,
        stream_port=0,
        enroll_port=0,
        apply_window=0.0,
    )


# Each test has an application of its own. What they all compile alike, addresses, templates and SQL, is compiled once.


class KnownRule(Rule):
    """An address of the panel, whose parts and whose way back into a URL are worked out once for all applications."""

    _known: dict[str, Rule] = {}  # noqa: RUF012 - shared on purpose

    def compile(self) -> None:
        """As the rule of an application before did it."""
        known = self._known.get(self.rule)
        if known is None or self.defaults or self.subdomain:
            super().compile()
            if not (self.defaults or self.subdomain):
                self._known[self.rule] = self
            return
        self.arguments = known.arguments
        self._parts, self._trace, self._converters = known._parts, known._trace, known._converters
        self._build = known._build.__func__.__get__(self)  # type: ignore[attr-defined]
        self._build_unknown = known._build_unknown.__func__.__get__(self)  # type: ignore[attr-defined]


Flask.url_rule_class = KnownRule


class CompiledTemplates(BytecodeCache):
    """The code of the panel's templates, which nobody changes meanwhile."""

    def __init__(self) -> None:
        self._known: dict[str, CodeType] = {}

    def get_bucket(self, environment: Environment, name: str, filename: str | None, source: str) -> Bucket:
        """With what was compiled before."""
        bucket = Bucket(environment, name, "")
        bucket.code = self._known.get(name)
        return bucket

    def set_bucket(self, bucket: Bucket) -> None:
        """Keeps what was compiled."""
        if bucket.code is not None:
            self._known[bucket.key] = bucket.code

    def load_bytecode(self, bucket: Bucket) -> None:
        """Nothing is read."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Nothing is written."""


TEMPLATES = CompiledTemplates()
DIALECTS: dict[str, Dialect] = {}
STATEMENTS: dict[Any, Any] = {}


def share_statements(engine: Engine) -> None:
    """What SQLAlchemy compiles belongs to a dialect, which is the same for all databases of a kind."""
    engine.dialect = DIALECTS.setdefault(engine.dialect.name, engine.dialect)
    engine.update_execution_options(compiled_cache=STATEMENTS)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables, made once; each test on SQLite begins with a copy."""
    folder = tmp_path_factory.mktemp("empty")
    app = create_app(Config(state_dir=folder, database_url=f"sqlite:///{folder / 'all.sqlite3'}", secret_key="0" * 40))
    with app.app_context():
        db.create_all()
        db.session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        db.session.remove()
        db.engine.dispose()
    return folder / "all.sqlite3"


@pytest.fixture
def app(config: Config, empty_database: Path) -> Iterator[Flask]:
    app = create_app(config)
    app.config.update(TESTING=True, WTF_CSRF_ENABLED=False)
    app.jinja_env.bytecode_cache = TEMPLATES
    with app.app_context():
        share_statements(db.engine)
        if config.database_url.startswith("sqlite:"):
            shutil.copyfile(empty_database, config.state_dir / "panel.sqlite3")
        else:
            db.create_all()
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def context(app: Flask) -> Iterator[None]:
    """An application context around the test; rows of other fixtures then belong to its session."""
    with app.app_context():
        yield


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def alice(app: Flask) -> User:
    return store(app, User(username="alice", password_hash=PASSWORD_HASH, role=Role.ADMINISTRATOR))


@pytest.fixture
def bob(app: Flask) -> User:
    return store(app, User(username="bob", password_hash=PASSWORD_HASH, role=Role.OPERATOR))


@pytest.fixture
def charlie(app: Flask) -> User:
    return store(app, User(username="charlie", password_hash=PASSWORD_HASH, role=Role.VIEWER))


@pytest.fixture
def agent(app: Flask) -> Agent:
    """An agent that has joined and is not connected."""
    facts = {"nginx_version": "1.22.1", "http_port": 7880, "https_port": 7443, "has_ipv6": True}
    return store(app, Agent(id="7d5f4a0e-0000-4000-8000-000000000001", name="local", joined_at=utcnow(), **facts))


def store(app: Flask, row: Row) -> Row:
    """Commits one row. Outside of a context it comes back detached, loaded and readable."""
    if has_app_context():
        db.session.add(row)
        db.session.commit()
        return row
    with app.app_context():
        db.session.add(row)
        db.session.commit()
        db.session.refresh(row)
        db.session.expunge(row)
    return row


def login(client: FlaskClient, user: User) -> str:
    """Makes the client's session one of `user`, without the form. Gives the key of it."""
    with client.application.app_context(), transaction():
        key = browser_sessions.start(db.session.get_one(User, user.id), Visit("192.0.2.7", "pytest"), by="a test")
    with client.session_transaction() as session:
        session.update({"_user_id": user.get_id(), "_fresh": True, "key": key})
    return key
