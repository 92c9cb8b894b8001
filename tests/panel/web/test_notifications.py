"""The pages about notifications through the client: adding, testing, secrets, roles, what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.config import Config
from panel.extensions import transaction
from panel.models import Agent, NotificationChannel
from panel.models.types import utcnow
from panel.services import channels, deliveries
from panel.services.deliveries import Outcome
from tests.conftest import login
from tests.panel.notifiers.far_side import MailServer, running_mail_server
from tests.panel.services.news import MAIL, Report, add_certificate, add_channel, report

LIST = "/settings/notifications"
SECRET = "s3cret-Passw0rd"
WITH_LOGIN = {**MAIL, "name": "mail", "username": "waypost", "password": SECRET}


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    with running_mail_server(tmp_path) as server:
        yield server


def stored(app: Flask, config: Config) -> dict[str, str]:
    with app.app_context():
        [channel] = channels.list_all()
        return dict(channels.open_stored(channel, config).values)


def add(app: Flask, config: Config, **values: str) -> int:
    with app.app_context():
        return add_channel("mail", config, **values).id


def test_without_channels_the_page_teaches(alices: FlaskClient) -> None:
    shown = alices.get(LIST).text
    assert "Nobody is told yet" in shown
    assert 'aria-current="page">Notifications' in shown


def test_a_channel_is_chosen_filled_in_and_listed(app: Flask, alices: FlaskClient, config: Config) -> None:
    kinds = BeautifulSoup(alices.get(f"{LIST}/new").text, "html.parser").select("main a.btn")
    assert [link["href"] for link in kinds] == [f"{LIST}/new?kind=smtp", f"{LIST}/new?kind=apprise"]
    form = BeautifulSoup(alices.get(f"{LIST}/new?kind=smtp").text, "html.parser")
    assert form.select_one("#port")["value"] == "587"  # type: ignore[index]
    assert form.select_one("#password")["type"] == "password"  # type: ignore[index]
    response = alices.post(f"{LIST}/new?kind=smtp", data=WITH_LOGIN)
    assert response.location == LIST
    shown = alices.get(LIST).text
    assert "E-mail: ops@example.com by 127.0.0.1" in shown
    assert "Not tried yet" in shown
    assert stored(app, config)["password"] == SECRET


@pytest.mark.parametrize(
    ("field", "value"), [("name", ""), ("server", "a b"), ("port", "x"), ("recipients", "<script>")]
)
def test_a_refused_value_stays_in_the_form_and_no_secret_does(alices: FlaskClient, field: str, value: str) -> None:
    response = alices.post(f"{LIST}/new?kind=smtp", data=WITH_LOGIN | {field: value})
    assert response.status_code == 422
    control = BeautifulSoup(response.text, "html.parser").select_one(f"#{field}")
    assert control is not None
    assert control["aria-invalid"] == "true"
    assert SECRET not in response.text
    assert "<script>alert" not in response.text


@pytest.mark.parametrize("path", [f"{LIST}/new?kind=pigeon", f"{LIST}/7"])
def test_what_does_not_exist_is_404(alices: FlaskClient, path: str) -> None:
    assert alices.get(path).status_code == 404


def test_a_secret_is_never_shown_and_stays_when_left_empty(app: Flask, alices: FlaskClient, config: Config) -> None:
    channel_id = add(app, config, username="waypost", password=SECRET)
    shown = alices.get(f"{LIST}/{channel_id}").text
    today = utcnow()
    assert f"Set {today.day} {today:%B %Y}. Leave it empty to keep it" in shown
    assert SECRET not in shown
    alices.post(f"{LIST}/{channel_id}", data={**WITH_LOGIN, "password": "", "recipients": "eve@example.com"})
    assert stored(app, config)["recipients"] == "eve@example.com"
    assert stored(app, config)["password"] == SECRET
    moved = alices.post(f"{LIST}/{channel_id}", data={**WITH_LOGIN, "password": "", "port": "26"})
    assert moved.status_code == 422
    assert "Enter it again: Port has changed" in moved.text


def test_a_test_message_is_sent_at_once_and_its_answer_is_on_the_page(
    app: Flask, alices: FlaskClient, config: Config, mail_server: MailServer
) -> None:
    channel_id = add(app, config, port=str(mail_server.port))
    mail_server.answer = "554 no spam <b>here</b>"
    shown = alices.post(f"{LIST}/{channel_id}/test", follow_redirects=True).text
    assert "The test message of mail was not taken" in shown
    assert "554 no spam &lt;b&gt;here" in shown
    assert "Has a problem" in shown
    mail_server.answer = "250 OK"
    shown = alices.post(f"{LIST}/{channel_id}/test", follow_redirects=True).text
    assert "Test message sent by mail." in shown
    assert "Works" in shown
    assert "Has a problem" not in shown
    assert [letter["Subject"] for letter in mail_server.mails] == ["Waypost test message"]


def test_on_off_and_delete(app: Flask, alices: FlaskClient, config: Config) -> None:
    channel_id = add(app, config)
    assert "Turn on" in alices.post(f"{LIST}/{channel_id}/disable", follow_redirects=True).text
    assert "Turn off" in alices.post(f"{LIST}/{channel_id}/enable", follow_redirects=True).text
    assert "Nobody is told yet" in alices.post(f"{LIST}/{channel_id}/delete", follow_redirects=True).text


def test_messages_are_listed_with_what_became_of_them(
    app: Flask, alices: FlaskClient, agent: Agent, config: Config
) -> None:
    with app.app_context():
        add_channel("mail", config)
        certificate = add_certificate(agent, utcnow(), domain_names=["<b>x</b>.example.com"])
        certificate_id = certificate.id
        report(certificate, Report(failures=1, cause="caa"), utcnow())
        assert "Waiting" in alices.get(LIST).text
        with transaction():
            [parcels] = deliveries.claim(utcnow(), config).values()
        with transaction():
            deliveries.settle(parcels[0], Outcome("It was refused <i>."), utcnow())
    shown = alices.get(LIST).text
    assert "Certificate &lt;b&gt;x&lt;/b&gt;.example.com could not be renewed" in shown
    assert f'href="/certificates/{certificate_id}"' in shown
    assert "Tried again" in shown
    assert "It was refused &lt;i&gt;." in shown
    assert alices.get(f"{LIST}?page=99").status_code == 200


def test_the_page_changes_by_itself(app: Flask, alices: FlaskClient, config: Config) -> None:
    add(app, config)
    response = alices.get("/live?topics=notifications")
    assert "#channels" in str(next(iter(response.response)))
    response.close()


def test_another_secret_key_is_said_on_the_page(app: Flask, alices: FlaskClient, config: Config) -> None:
    channel_id = add(app, config, username="waypost", password=SECRET)
    with app.app_context(), transaction():
        channels.get(channel_id).sealed_settings = "gAAAAA-damaged"
    assert "PANEL_SECRET_KEY is not the one" in alices.get(LIST).text
    assert alices.get(f"{LIST}/{channel_id}").status_code == 200


@pytest.mark.parametrize("person", ["bob", "charlie"])
def test_others_look_and_change_nothing(
    app: Flask, client: FlaskClient, config: Config, person: str, request: pytest.FixtureRequest
) -> None:
    channel_id = add(app, config, username="waypost", password=SECRET)
    login(client, request.getfixturevalue(person))
    shown = client.get(LIST).text
    assert "ops@example.com" in shown
    assert "Send a test" not in shown
    assert SECRET not in shown
    for path in (f"{LIST}/new", f"{LIST}/{channel_id}"):
        assert client.get(path).status_code == 403
    for verb in ("", "/test", "/enable", "/disable", "/delete"):
        assert client.post(f"{LIST}/{channel_id}{verb}").status_code == 403
    assert client.post(f"{LIST}/new?kind=smtp", data=WITH_LOGIN).status_code == 403


def test_no_change_without_the_token(app: Flask, alices: FlaskClient, config: Config) -> None:
    channel_id = add(app, config)
    app.config["WTF_CSRF_ENABLED"] = True
    for verb in ("", "/test", "/disable", "/delete"):
        assert alices.post(f"{LIST}/{channel_id}{verb}", data=WITH_LOGIN).status_code == 400
    with app.app_context():
        channel: NotificationChannel = channels.get(channel_id)
        assert channel.is_enabled
        assert channel.last_error == ""
