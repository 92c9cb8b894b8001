"""What is told, to whom, and that nothing is told twice."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Certificate, CertificateSource, Notification
from panel.models.types import utcnow
from panel.services import channels, notifications
from panel.services.notifications import EXPIRED_TOLD
from tests.panel.services.news import (
    LIFETIME,
    Report,
    add_certificate,
    add_channel,
    add_host,
    failure,
    queued,
    report,
    subjects,
)

pytestmark = pytest.mark.usefixtures("context")
NOW = utcnow()
COULD_NOT = "Certificate app.example.com could not be renewed"
AGAIN = "Certificate app.example.com is renewed again"


@pytest.fixture
def certificate(agent: Agent) -> Certificate:
    return add_certificate(agent, NOW)


def expire(certificate: Certificate, left: float) -> None:
    """The clock, when so many lifetimes are left; twice, as after a restart."""
    assert certificate.not_after
    for _ in range(2):
        with transaction():
            notifications.expiring(certificate.not_after - LIFETIME * left)


def test_a_failure_says_what_happened_who_is_affected_and_what_to_do(
    agent: Agent, certificate: Certificate, config: Config
) -> None:
    add_channel("mail", config)
    add_host(agent, certificate)
    report(certificate, Report(failures=1, cause="port_closed"), NOW)
    [told] = queued()
    assert told.subject == COULD_NOT
    assert told.level == "warning"
    assert told.url == f"/certificates/{certificate.id}"
    for words in (
        "What happened: The authority could not do it (port_closed).",
        "What to do: Open port 80 to the Internet.",
        "Hosts that use it: app.example.com",
        "Agent: local",
        "(60 days left)",
        "It is not tried again by itself.",
    ):
        assert words in told.text


def test_a_series_of_failures_is_told_once_and_again_when_the_cause_changes(
    certificate: Certificate, config: Config
) -> None:
    add_channel("mail", config)
    for number, cause in enumerate(["port_closed", "port_closed", "caa", "port_closed", "caa"], 1):
        report(certificate, Report(failures=number, cause=cause), NOW)
    assert [one.key.rpartition(":")[2] for one in queued()] == ["port_closed", "caa"]


def test_a_recovery_is_told_once_to_those_who_heard_of_the_failure(certificate: Certificate, config: Config) -> None:
    told = add_channel("told", config)
    report(certificate, Report(failures=1, cause="caa"), NOW)
    add_channel("later", config)
    for serial in ("b2", "b2", "c3"):
        report(certificate, Report(serial=serial), NOW)
    assert [(one.channel_id, one.subject) for one in queued()] == [(told.id, COULD_NOT), (told.id, AGAIN)]


def test_the_next_series_is_told_anew(certificate: Certificate, config: Config) -> None:
    add_channel("mail", config)
    for told in (Report(failures=1, cause="caa"), Report(serial="b2"), Report("b2", 1, "caa"), Report("c3")):
        report(certificate, told, NOW)
    assert subjects() == [COULD_NOT, AGAIN, COULD_NOT, AGAIN]


def test_a_success_without_a_failure_is_no_news(certificate: Certificate, config: Config) -> None:
    add_channel("mail", config)
    report(certificate, Report(serial="b2"), NOW)
    assert queued() == []


def test_a_first_request_is_told_when_it_goes_on_failing(agent: Agent, config: Config) -> None:
    add_channel("mail", config)
    certificate = add_certificate(agent, NOW, serial="", is_present=False, not_before=None, not_after=None)
    report(certificate, Report("", 1, "caa", is_present=False), NOW)
    assert queued() == []
    report(certificate, Report("", 2, "caa", is_present=False), NOW)
    report(certificate, Report("a1"), NOW)
    assert subjects() == ["Certificate app.example.com could not be obtained", AGAIN]


def test_files_that_are_gone_are_told_once_a_day(agent: Agent, certificate: Certificate, config: Config) -> None:
    add_channel("mail", config)
    for hours, is_present in ((0, False), (0, True), (0, False), (24, True), (24, False)):
        report(certificate, Report(is_present=is_present), NOW + timedelta(hours=hours))
    assert subjects() == ["Certificate app.example.com is missing on local"] * 2
    assert "served without HTTPS" in queued()[0].text


def test_what_is_switched_off_hears_nothing_and_hears_the_rest_later(certificate: Certificate, config: Config) -> None:
    channel = add_channel("mail", config)
    with transaction():
        channels.set_enabled(channel, None, enabled=False)
    report(certificate, Report(failures=1, cause="caa"), NOW)
    assert queued() == []
    with transaction():
        channels.set_enabled(channel, None, enabled=True)
    report(certificate, Report(failures=2, cause="caa"), NOW)
    assert subjects() == [COULD_NOT]


def test_every_stage_of_a_life_is_told_once(certificate: Certificate, config: Config) -> None:
    add_channel("mail", config)
    for left in (0.5, 0.34, 0.33, 0.25, 0.2, 0.15, 0.1, 0.02, 0.0, -0.1):
        expire(certificate, left)
    assert [(one.level, one.subject.removeprefix("Certificate app.example.com ")) for one in queued()] == [
        ("info", "expires in 29 days"),
        ("warning", "expires in 18 days"),
        ("error", "expires in 9 days"),
        ("error", "has expired"),
    ]


def test_a_late_look_tells_only_the_last_stage(certificate: Certificate, config: Config) -> None:
    add_channel("mail", config)
    expire(certificate, 0.08)
    assert [one.level for one in queued()] == ["error"]


def test_what_expired_long_ago_is_no_news(certificate: Certificate, config: Config) -> None:
    add_channel("mail", config)
    assert certificate.not_after
    with transaction():
        notifications.expiring(certificate.not_after + EXPIRED_TOLD)
    assert queued() == []


@pytest.mark.parametrize(("hours", "count"), [(2, 0), (-0.5, 0), (-2, 1)])
def test_a_renewal_that_is_planned_is_not_worth_a_word_at_a_third(
    certificate: Certificate, config: Config, hours: float, count: int
) -> None:
    add_channel("mail", config)
    assert certificate.not_after
    now = certificate.not_after - LIFETIME * 0.3
    with transaction():
        certificate.next_action_at = now + timedelta(hours=hours)
        notifications.expiring(now)
    assert len(queued()) == count


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"source": CertificateSource.UPLOAD}, "upload the next one in its place"),
        ({"is_paused": True}, "Its renewal is paused"),
        (
            {"failures": 3, "last_failure": failure("caa")},
            "The last of 3 failed attempts said: The authority could not",
        ),
        ({}, "The agent was last heard from: never"),
    ],
)
def test_an_expiry_says_why(agent: Agent, config: Config, values: dict[str, object], words: str) -> None:
    add_channel("mail", config)
    certificate = add_certificate(agent, NOW, next_action_at=NOW + timedelta(days=30), **values)
    expire(certificate, 0.15)
    assert words in queued()[0].text


def test_what_certbot_renews_is_told_when_certbot_is_late_and_a_host_needs_it(agent: Agent, config: Config) -> None:
    add_channel("mail", config)
    certificate = add_certificate(agent, NOW, source=CertificateSource.CERTBOT)
    expire(certificate, 0.19)
    assert queued() == []
    add_host(agent, certificate)
    expire(certificate, 0.3)
    assert queued() == []
    expire(certificate, 0.19)
    assert "certbot looks after it" in queued()[0].text


@pytest.mark.parametrize(
    "values", [{"is_present": False}, {"revoked_at": NOW}, {"not_before": None, "not_after": None}]
)
def test_what_is_not_served_has_no_end(agent: Agent, config: Config, values: dict[str, object]) -> None:
    add_channel("mail", config)
    add_certificate(agent, NOW, **values)
    with transaction():
        notifications.expiring(NOW + LIFETIME * 0.6)
    assert queued() == []


def test_hostile_words_become_one_plain_line(agent: Agent, config: Config) -> None:
    add_channel("mail", config)
    certificate = add_certificate(agent, NOW, domain_names=["a\r\nBcc: all@example.com", "b"])
    words = "no\x1b[31m\r\n\r\nSubject: x" + "y" * 5000
    with transaction():
        certificate.last_failure, certificate.failures = failure("caa", sentence=words, retry_at="nonsense"), 1
        notifications.certificate_changed(certificate, notifications.before(certificate), NOW)
    [told] = queued()
    assert told.subject == "Certificate a Bcc: all@example.com and 1 more could not be renewed"
    assert "What happened: no [31m Subject: xyyy" in told.text
    assert len(told.text) < 2000


def test_old_news_is_forgotten_unless_it_could_be_told_again(certificate: Certificate, config: Config) -> None:
    add_channel("mail", config)
    for told in (Report(failures=1, cause="caa"), Report(serial="b2"), Report("b2", 1, "caa")):
        report(certificate, told, NOW)
    with transaction():
        for one in queued():
            one.next_attempt_at = None
    with transaction():
        notifications.prune(NOW + timedelta(days=399))
    assert len(queued()) == 3
    with transaction():
        notifications.prune(NOW + timedelta(days=401))
    assert [one.key.split(":")[3] for one in queued()] == ["b2"]


STEPS = st.lists(
    st.one_of(
        st.builds(Report, serial=st.sampled_from(["a1", "b2", "c3"])),
        st.builds(
            Report,
            serial=st.sampled_from(["a1", "b2", "c3"]),
            failures=st.integers(1, 3),
            cause=st.sampled_from(["caa", "port_closed"]),
            is_present=st.booleans(),
        ),
        st.sampled_from(["restart", "clock"]),
    ),
    max_size=14,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_in_any_order_of_reports_nothing_is_told_twice(agent: Agent, config: Config, steps: list[Report | str]) -> None:
    with transaction():
        for model in (Notification, Certificate):
            db.session.execute(delete(model))
        for old in channels.list_all():
            channels.delete(old, None)
    first, second = (add_channel(name, config).id for name in ("first", "second"))
    certificate_id = add_certificate(db.session.scalars(select(Agent)).one(), NOW).id
    for number, step in enumerate(steps):
        now = NOW + timedelta(minutes=number)
        certificate = db.session.get_one(Certificate, certificate_id)
        if step == "restart":
            db.session.remove()  # whatever this process remembered is gone
        elif isinstance(step, Report):
            report(certificate, step, now)
            report(certificate, step, now)
        else:
            with transaction():
                notifications.expiring(NOW + LIFETIME * 0.6)
    keys = {channel_id: [one.key for one in queued() if one.channel_id == channel_id] for channel_id in (first, second)}
    assert keys[first] == keys[second]
    assert len(set(keys[first])) == len(keys[first])
    for position, key in enumerate(keys[first]):
        if ":recovered:" in key:
            begun = key.replace(":recovered:", ":failed:")
            assert any(other.startswith(begun) for other in keys[first][:position])
