"""A panel on a real PostgreSQL: what another process commits is heard, and two never decide at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import gevent
import gevent.event
import psycopg
import pytest
from flask import Flask
from flask_migrate import downgrade, upgrade
from sqlalchemy import text

from panel import cli, news
from panel.app import create_app
from panel.config import Config, ConfigError
from panel.errors import NotFound
from panel.extensions import TRANSACTION_LOCK, db, stopping, transaction, wake_after_commit, wakeups
from panel.models import Event
from panel.services import events
from tests.postgresql import Cluster, running_cluster

SOON = 10.0  # seconds


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """One server for all tests here."""
    with running_cluster() as made:
        yield made


@pytest.fixture
def shared_app(cluster: Cluster, tmp_path: Path, config: Config) -> Iterator[Flask]:
    """A panel whose tables the migrations have made."""
    with cluster.database() as url:
        app = create_app(replace(config, state_dir=tmp_path / "shared", database_url=url))
        cli.register(app)
        with app.app_context():
            upgrade()
            db.session.remove()
            yield app
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def listening(shared_app: Flask) -> Iterator[None]:
    """Hears what others say, until the test ends."""
    with wakeups.subscribe("anything") as connected:
        task = gevent.spawn(news.listen, shared_app)
        assert connected.wait(SOON), "whoever begins to listen wakes everybody, because news may have been missed"
    yield
    stopping.set()
    task.join(SOON)
    stopping.clear()


def other_process(cluster: Cluster) -> psycopg.Connection[tuple[object, ...]]:
    """A connection that is not of this panel."""
    return psycopg.connect(host=str(cluster.folder), user=cluster.user, dbname="postgres")


@pytest.mark.usefixtures("listening")
def test_what_another_process_commits_wakes_who_waits_here(cluster: Cluster) -> None:
    with wakeups.subscribe("agents") as woken, other_process(cluster) as other:
        other.execute("SELECT pg_notify('waypost', 'another:agents')")
        assert not woken.wait(0.2), "nothing is told before the commit"
        other.commit()
        assert woken.wait(SOON)


@pytest.mark.usefixtures("listening")
def test_a_lost_connection_is_made_again_and_wakes_everybody(cluster: Cluster) -> None:
    with wakeups.subscribe("hosts") as woken, other_process(cluster) as other:
        other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
        assert woken.wait(SOON)


def test_a_commit_tells_the_other_processes_and_a_rollback_does_not(cluster: Cluster, shared_app: Flask) -> None:
    with other_process(cluster) as other:
        other.autocommit = True
        other.execute("LISTEN waypost")
        with pytest.raises(NotFound), transaction():
            lose("lost")
        with transaction():
            wake_after_commit("kept")
        heard = [notify.payload.partition(":")[2] for notify in other.notifies(timeout=SOON, stop_after=1)]
    assert heard == ["kept"]


def lose(topic: str) -> None:
    """A change that is taken back."""
    wake_after_commit(topic)
    raise NotFound("There is no such thing.")


def test_two_processes_never_decide_at_the_same_time(cluster: Cluster, shared_app: Flask) -> None:
    entered = gevent.event.Event()

    def decide() -> None:
        with shared_app.app_context(), transaction():
            entered.set()
            events.record(None, "setting", "change", "1")

    with other_process(cluster) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (TRANSACTION_LOCK,))
        task = gevent.spawn(decide)
        assert not entered.wait(0.3)
        other.commit()
        assert entered.wait(SOON)
    task.get(timeout=SOON)
    assert db.session.query(Event).count() == 1


def test_the_migrations_go_up_and_down(shared_app: Flask) -> None:
    downgrade(revision="base")
    upgrade()
    assert db.session.execute(text("SELECT count(*) FROM proxy_host")).scalar() == 0


@pytest.mark.parametrize("url", ["postgres://u@h/n", "postgresql://u@h/n", "postgresql+psycopg://u@h/n"])
def test_every_spelling_of_an_address_is_understood(tmp_path: Path, url: str) -> None:
    config = Config.from_env({"PANEL_STATE_DIR": str(tmp_path), "PANEL_DATABASE_URL": url})
    assert config.database_url == "postgresql+psycopg://u@h/n"


@pytest.mark.parametrize("url", ["mysql://u@h/n", "postgresql:", "nonsense"])
def test_other_databases_are_refused_with_a_sentence(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="PANEL_DATABASE_URL: use postgresql://"):
        Config.from_env({"PANEL_STATE_DIR": str(tmp_path), "PANEL_DATABASE_URL": url})
