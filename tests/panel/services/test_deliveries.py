"""Sending: claimed once, tried again, given up aloud; over crashes, with one channel failing, with two panels."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import gevent
import pytest
from flask import Flask

from panel.clock import Clock
from panel.config import Config
from panel.extensions import db, transaction, wakeups
from panel.models import Agent, Certificate, NotificationChannel
from panel.models.types import utcnow
from panel.services import channels, deliveries
from panel.services.deliveries import CLAIMED_FOR, TRIED_FOR, Outcome, Parcel
from tests.panel.notifiers.far_side import Hook, MailServer, running_hook, running_mail_server
from tests.panel.services.news import Report, add_certificate, add_channel, queued, report
from tests.product import ROOT, free_ports

pytestmark = pytest.mark.usefixtures("context")
NOW = utcnow()


@pytest.fixture
def certificate(agent: Agent) -> Certificate:
    return add_certificate(agent, NOW)


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    with running_mail_server(tmp_path) as server:
        yield server


@pytest.fixture
def hook() -> Iterator[Hook]:
    with running_hook() as server:
        yield server


@pytest.fixture
def mail(mail_server: MailServer, config: Config) -> NotificationChannel:
    return add_channel("mail", config, port=str(mail_server.port))


def fail(certificate: Certificate, cause: str = "caa") -> None:
    report(certificate, Report(failures=1, cause=cause), NOW)


def claim(now: datetime, config: Config) -> list[Parcel]:
    with transaction():
        return [parcel for parcels in deliveries.claim(now, config).values() for parcel in parcels]


def settle(parcel: Parcel, error: str, now: datetime) -> None:
    with transaction():
        deliveries.settle(parcel, Outcome(error), now)


def tick_until(config: Config, *keys: str) -> None:
    """Ticks the clock and waits until each of these messages was sent or put off."""
    clock = Clock(config)
    with wakeups.subscribe("notifications") as news, gevent.Timeout(30):
        clock.tick(NOW + timedelta(seconds=1))
        while any(not one.sent_at and not one.error for one in queued()):
            news.wait()
            news.clear()
            db.session.rollback()
    clock.finish_sending()


def test_a_message_is_sent_once_and_says_where_to_look(
    certificate: Certificate, mail: NotificationChannel, mail_server: MailServer, config: Config
) -> None:
    fail(certificate)
    config = dataclasses.replace(config, public_url="https://panel.example.com")
    for _ in range(2):
        tick_until(config)
    [letter] = mail_server.mails
    assert letter["Subject"] == "Certificate app.example.com could not be renewed"
    assert letter.as_string().rstrip().endswith(f"https://panel.example.com/certificates/{certificate.id}")
    assert queued()[0].sent_at is not None
    assert channels.get(mail.id).last_sent_at is not None
    assert channels.get(mail.id).last_error == ""


def test_without_a_public_url_the_link_is_the_path(
    certificate: Certificate, mail: NotificationChannel, config: Config
) -> None:
    fail(certificate)
    [parcel] = claim(NOW, config)
    assert parcel.message.text.endswith(f"\n\n/certificates/{certificate.id}\n")


def test_of_two_channels_one_may_fail(
    certificate: Certificate, mail_server: MailServer, mail: NotificationChannel, hook: Hook, config: Config
) -> None:
    broken = add_channel("hook", config, "apprise", url=f"json://127.0.0.1:{hook.port}/t0ken")
    hook.status = 503
    fail(certificate)
    tick_until(config)
    assert len(mail_server.mails) == 1
    by_channel = {one.channel_id: one for one in queued()}
    assert by_channel[mail.id].sent_at
    assert by_channel[broken.id].sent_at is None
    assert by_channel[broken.id].next_attempt_at is not None
    assert "503" in by_channel[broken.id].error
    assert "503" in channels.get(broken.id).last_error
    assert "t0ken" not in channels.get(broken.id).last_error


def test_a_slow_channel_delays_neither_the_tick_nor_another_channel(
    certificate: Certificate, mail_server: MailServer, mail: NotificationChannel, hook: Hook, config: Config
) -> None:
    slow = add_channel("hook", config, "apprise", url=f"json://127.0.0.1:{hook.port}/slow?rto=20")
    hook.may_answer.clear()
    fail(certificate)
    clock = Clock(config)
    with gevent.Timeout(30), wakeups.subscribe("notifications") as news:
        clock.tick(NOW + timedelta(seconds=1))
        hook.came.wait()
        while not mail_server.mails:
            news.wait()
            news.clear()
        clock.tick(NOW + timedelta(seconds=2))
        db.session.rollback()
        assert [one.sent_at for one in queued() if one.channel_id == slow.id] == [None]
        hook.may_answer.set()
        clock.finish_sending(timeout=20)
    db.session.rollback()
    assert all(one.sent_at for one in queued())
    assert len(hook.requests) == 1


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_is_under_way_when_the_panel_stops_is_ended_and_sent_after_the_next_start(
    certificate: Certificate, hook: Hook, config: Config, is_killed: bool
) -> None:
    add_channel("hook", config, "apprise", url=f"json://127.0.0.1:{hook.port}/slow?rto=20")
    hook.may_answer.clear()
    fail(certificate)
    clock = Clock(config)
    with gevent.Timeout(20):
        clock.tick(NOW + timedelta(seconds=1))
        hook.came.wait()
        ending = gevent.spawn(clock.finish_sending, 20 if is_killed else 0.05)
        gevent.sleep(0)
        if is_killed:
            ending.kill()
        ending.join()
        assert not clock._senders
    hook.may_answer.set()
    db.session.rollback()
    assert queued()[0].sent_at is None
    assert claim(NOW + CLAIMED_FOR, config) == []
    assert len(claim(NOW + CLAIMED_FOR + timedelta(seconds=2), config)) == 1


def test_two_panels_send_it_once(certificate: Certificate, mail: NotificationChannel, config: Config) -> None:
    fail(certificate)
    assert len(claim(NOW, config)) == 1
    assert claim(NOW, config) == []


def test_a_row_that_another_panel_has_just_taken_is_left_to_it(
    certificate: Certificate, mail: NotificationChannel, config: Config
) -> None:
    fail(certificate)
    [seen] = queued()
    db.session.expunge(seen)  # as this panel read it, whatever happens to the row
    assert deliveries._take(seen, NOW)
    assert not deliveries._take(seen, NOW)


def test_it_is_tried_again_for_a_day_and_given_up_aloud(
    certificate: Certificate, mail: NotificationChannel, config: Config
) -> None:
    fail(certificate)
    now, waits = NOW, []
    while True:
        [parcel] = claim(now, config)
        settle(parcel, "It was refused.", now)
        again_at = queued()[0].next_attempt_at
        if again_at is None:
            break
        waits.append(int((again_at - now).total_seconds() / 60))
        now = again_at
    assert waits == [1, 5, 25, 125, 360, 360, 360]
    assert now <= NOW + TRIED_FOR
    assert queued()[0].error == "It was refused."
    assert channels.get(mail.id).last_error == "It was refused. Given up after 8 attempts."
    assert claim(NOW + timedelta(days=7), config) == []


def test_what_waited_while_the_panel_was_away_is_sent_all_the_same(
    certificate: Certificate, mail: NotificationChannel, config: Config
) -> None:
    fail(certificate)
    assert len(claim(NOW + timedelta(days=9), config)) == 1


def test_a_recovery_never_overtakes_its_failure(
    certificate: Certificate, mail: NotificationChannel, config: Config
) -> None:
    fail(certificate)
    [parcel] = claim(NOW, config)
    report(certificate, Report(serial="b2"), NOW)
    assert claim(NOW, config) == []
    settle(parcel, "It was refused.", NOW)
    assert claim(NOW, config) == []
    later = NOW + timedelta(minutes=1)
    [again] = claim(later, config)
    assert again.message == parcel.message
    settle(again, "", later)
    assert [one.message.subject for one in claim(later, config)] == ["Certificate app.example.com is renewed again"]


def test_switching_off_drops_what_waits_and_says_so(
    certificate: Certificate, mail: NotificationChannel, config: Config
) -> None:
    fail(certificate)
    with transaction():
        channels.set_enabled(mail, None, enabled=False)
        channels.set_enabled(mail, None, enabled=True)
    assert claim(NOW, config) == []
    assert "switched off" in queued()[0].error


def test_a_channel_that_is_deleted_while_it_sends_is_forgotten(
    certificate: Certificate, mail: NotificationChannel, config: Config
) -> None:
    fail(certificate)
    [parcel] = claim(NOW, config)
    with transaction():
        channels.delete(mail, None)
    settle(parcel, "", NOW)
    assert queued() == []


def test_settings_that_cannot_be_opened_are_a_refusal_like_any_other(
    certificate: Certificate, mail: NotificationChannel, config: Config
) -> None:
    fail(certificate)
    [parcel] = claim(NOW, dataclasses.replace(config, secret_key="another-secret-key-0123456789-abcdefgh"))
    outcome = deliveries.send(parcel)
    assert "PANEL_SECRET_KEY" in outcome.error
    with transaction():
        deliveries.settle(parcel, outcome, NOW)
    assert queued()[0].next_attempt_at == NOW + timedelta(minutes=1)


def test_secrets_are_in_no_log_no_repr_and_no_row(
    certificate: Certificate, config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    add_channel("hook", config, "apprise", url=f"json://u:hidden-t0ken@127.0.0.1:{free_ports(1)[0]}/hidden-t0ken")
    fail(certificate)
    [parcel] = claim(NOW, config)
    outcome = deliveries.send(parcel)
    with transaction():
        deliveries.settle(parcel, outcome, NOW)
    assert "nothing listens there" in outcome.error
    assert "hidden-t0ken" not in f"{parcel} {outcome} {caplog.text} {queued()[0].error} {queued()[0].text}"


KILLED = """
import panel.bootstrap
from datetime import datetime
from sys import argv
from panel import failpoints
from panel.app import create_app
from panel.config import Config
from panel.extensions import transaction
from panel.services import deliveries
config = Config.from_env()
failpoints.arm(config.failpoint)
with create_app(config).app_context():
    with transaction():
        claimed = deliveries.claim(datetime.fromisoformat(argv[1]), config)
    for parcels in claimed.values():
        for parcel in parcels:
            deliveries.send(parcel)
"""


def test_a_panel_killed_between_sending_and_writing_it_down_sends_again_with_the_same_id(
    app: Flask, certificate: Certificate, mail: NotificationChannel, mail_server: MailServer, config: Config
) -> None:
    fail(certificate)
    environment = os.environ | {
        "PANEL_STATE_DIR": str(config.state_dir),
        "PANEL_DATABASE_URL": config.database_url,
        "PANEL_SECRET_KEY": config.secret_key,
        "PANEL_FAILPOINT": "news_sent:kill",
    }
    done = subprocess.run([sys.executable, "-c", KILLED, NOW.isoformat()], cwd=ROOT, env=environment)
    assert done.returncode == -signal.SIGKILL
    db.session.rollback()
    assert len(mail_server.mails) == 1
    assert queued()[0].sent_at is None
    later = NOW + CLAIMED_FOR
    [parcel] = claim(later, config)
    with transaction():
        deliveries.settle(parcel, deliveries.send(parcel), later)
    first, second = mail_server.mails
    assert first["Message-ID"] == second["Message-ID"]
    assert claim(later + timedelta(days=1), config) == []
