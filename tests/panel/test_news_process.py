"""News over deaths of the whole panel: the real process sends it, is killed before it has written that down, and comes
back."""

from __future__ import annotations

import signal
from pathlib import Path

from sqlalchemy import select

from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Notification
from panel.models.types import utcnow
from tests.conftest import store
from tests.panel.notifiers.far_side import running_mail_server
from tests.panel.services.news import Report, add_certificate, add_channel, report
from tests.panel.test_serve import environment, make_database, serving
from tests.product import wait_until

SECRET_KEY = "a-secret-key-for-tests-only-0123456789"


def test_a_killed_panel_loses_no_message_and_the_mail_keeps_its_id(tmp_path: Path) -> None:
    folder = tmp_path / "panel"
    env = environment(folder, PANEL_SECRET_KEY=SECRET_KEY)
    make_database(env)
    config = Config.from_env(env)
    app = create_app(config)
    with running_mail_server(tmp_path) as server, app.app_context():
        agent = store(app, Agent(id="7d5f4a0e-0000-4000-8000-000000000001", name="local", joined_at=utcnow()))
        add_channel("mail", config, port=str(server.port))
        report(add_certificate(agent, utcnow()), Report(failures=1, cause="caa_forbids"), utcnow())
        db.session.remove()

        with serving(env | {"PANEL_FAILPOINT": "news_sent:kill"}) as (process, _address):
            assert process.wait(30) == -signal.SIGKILL
        assert len(server.mails) == 1

        with transaction():  # as if its claim had run out
            told = db.session.scalars(select(Notification)).one()
            assert told.sent_at is None
            told.next_attempt_at = utcnow()
        db.session.remove()
        with serving(env):
            wait_until(_is_sent, "the message is sent again")
        first, second = server.mails
        assert first["Message-ID"] == second["Message-ID"]
        db.engine.dispose()


def _is_sent() -> bool:
    db.session.rollback()
    return db.session.scalars(select(Notification.sent_at)).one() is not None
