"""The list of certificates, one certificate's page and the buttons on it, through the client.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from panel.extensions import db, transaction
from panel.models import Agent, Certificate, Command, CommandKind, ProxyHost, User
from panel.models.types import utcnow
from panel.services import proxy_hosts
from panel.web.certificates import view
from tests.certificates import (
    FAILURE,
    HOSTILE,
    add_authority,
    add_certificate,
    add_wish,
    certificate,
)
from tests.conftest import login
from tests.hosts import add_host, commands

HTMX = {"HX-Request": "true"}
BUTTONS = ("renew", "try-on-staging", "pause", "resume", "revoke", "delete", "use")
FORMS = ("edit", "replace", "take-over")


def soup(response: TestResponse) -> BeautifulSoup:
    assert response.status_code == 200
    return BeautifulSoup(response.text, "html.parser")


def rows(response: TestResponse) -> list[str]:
    """The names in the list, in their order."""
    return [a.text for a in soup(response).select("#rows .host a")]


@pytest.fixture
def authority(app: Flask) -> int:
    return add_authority(app, is_default=True, staging_directory_url="https://staging.example.com/directory")


def link(app: Flask, host_id: int, certificate_id: int) -> None:
    with app.app_context(), transaction():
        db.session.get_one(ProxyHost, host_id).certificate_id = certificate_id


def test_the_empty_list_teaches_and_leads_to_the_form(bobs: FlaskClient, agent: Agent) -> None:
    shown = bobs.get("/certificates").text
    assert "Let browsers in by HTTPS" in shown
    assert 'href="/certificates/new"' in shown


def test_without_an_agent_the_list_says_what_comes_first(bobs: FlaskClient) -> None:
    shown = bobs.get("/certificates").text
    assert "First, an agent" in shown
    assert "/certificates/new" not in shown


def test_a_row_says_names_authority_days_hosts_and_the_last_error(
    app: Flask, bobs: FlaskClient, agent: Agent, authority: int
) -> None:
    failing = {"failures": 2, "last_failure": {**FAILURE, "sentence": HOSTILE}, "authority_id": authority}
    certificate_id = add_certificate(app, agent, "app.example.com", "www.example.com", left=5, **failing)
    link(app, add_host(app, agent), certificate_id)
    row = soup(bobs.get("/certificates")).select_one(f"#certificate-{certificate_id}")
    assert row is not None
    for text in ("app.example.com", "+1 name", "Failing", "5 days", "Example CA", HOSTILE):
        assert text in row.text
    bar = row.select_one("svg.meter rect")
    assert bar is not None
    assert (bar["width"], bar["class"]) == ("6", ["f-bad"])
    assert row.select_one('a[href="/hosts/1"]')
    assert row.select("script") == []


def test_the_list_filters_searches_and_sorts_in_its_url(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    used = add_certificate(app, agent, "b.example.com", left=80)
    add_certificate(app, agent, "a.example.com", left=20)
    add_certificate(app, agent, "c.example.com", left=70, failures=1, last_failure=FAILURE)
    link(app, add_host(app, agent, "b.example.com"), used)
    assert rows(bobs.get("/certificates")) == ["a.example.com", "c.example.com", "b.example.com"]
    assert rows(bobs.get("/certificates?status=due")) == ["a.example.com"]
    assert rows(bobs.get("/certificates?status=failing")) == ["c.example.com"]
    assert rows(bobs.get("/certificates?status=unused")) == ["a.example.com", "c.example.com"]
    assert rows(bobs.get("/certificates?q=B.EXAMPLE")) == ["b.example.com"]
    assert rows(bobs.get("/certificates?sort=name")) == ["a.example.com", "b.example.com", "c.example.com"]
    assert "No certificate matches" in bobs.get("/certificates?q=zzz").text


@pytest.mark.parametrize("query", ["page=0", "page=x", "sort=password", "order=up", "status=x'", "agent=../x", "q=%00"])
def test_parameters_out_of_range_do_no_harm(app: Flask, bobs: FlaskClient, agent: Agent, query: str) -> None:
    add_certificate(app, agent)
    assert bobs.get(f"/certificates?{query}").status_code == 200


def test_pages_hold_25_and_keep_the_filter(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    for number in range(27):
        add_certificate(app, agent, f"h{number:02}.example.com")
    assert len(rows(bobs.get("/certificates?sort=name"))) == 25
    response = bobs.get("/certificates?sort=name&q=example&page=2")
    assert rows(response) == ["h25.example.com", "h26.example.com"]
    assert "q=example" in response.text


def test_htmx_gets_the_list_alone(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    add_certificate(app, agent)
    shown = bobs.get("/certificates?q=app", headers=HTMX).text
    assert "<html" not in shown
    assert shown.lstrip().startswith("<section")


def test_the_navigation_counts_and_turns_amber_when_something_is_due(
    app: Flask, bobs: FlaskClient, agent: Agent
) -> None:
    add_certificate(app, agent, "a.example.com", left=80)
    assert soup(bobs.get("/jobs")).select("nav.side .flag") != []  # the agent is away
    assert "due" not in bobs.get("/jobs").text
    add_certificate(app, agent, "b.example.com", left=10)
    assert "1 due" in bobs.get("/jobs").text


@pytest.mark.parametrize(
    ("values", "word", "tone"),
    [
        ({"left": 60}, "Valid", "ok"),
        ({"left": 20}, "Due", "warn"),
        ({"left": 3}, "Due", "bad"),
        ({"left": -1}, "Expired", "bad"),
        ({"left": 60, "is_paused": True}, "Paused", "warn"),
        ({"left": 60, "failures": 1, "last_failure": FAILURE}, "Failing", "warn"),
        ({"left": 60, "revoked_at": utcnow()}, "Revoked", "bad"),
        ({"left": 60, "is_present": False, "problem": "The key is gone."}, "Missing", "bad"),
        ({"left": 60, "source": "certbot"}, "By certbot", "off"),
        ({"left": 20, "source": "upload"}, "Expires soon", "warn"),
        ({"left": 60, "is_present": False, "last_failure": FAILURE}, "Failed", "bad"),
        ({"left": 60, "is_present": False}, "Not there yet", "off"),
    ],
)
def test_each_state_has_a_word_and_a_shape(
    app: Flask, agent: Agent, values: dict[str, object], word: str, tone: str
) -> None:
    certificate_id = add_certificate(app, agent, **values)  # type: ignore[arg-type]
    with app.app_context():
        status = view.status(db.session.get_one(Certificate, certificate_id), None, utcnow())
    assert (status.word, status.tone) == (word, tone)
    assert status.detail


def test_a_short_lifetime_is_not_measured_in_days(app: Flask, agent: Agent) -> None:
    now = utcnow()
    began, ends = now - timedelta(days=1), now + timedelta(days=5)
    certificate_id = add_certificate(app, agent, not_before=began, not_after=ends)
    with app.app_context():
        assert view.validity(db.session.get_one(Certificate, certificate_id), now).tone == "ok"


def test_the_page_says_how_it_stands_why_it_failed_and_what_comes_next(
    app: Flask, bobs: FlaskClient, agent: Agent, authority: int
) -> None:
    again = {"retry_at": (utcnow() + timedelta(hours=6)).isoformat()}
    window = {"window_start": utcnow(), "window_end": utcnow() + timedelta(days=1), "window_url": "https://x.example/"}
    failing = {"failures": 2, "last_failure": {**FAILURE, "url": "https://portal.example.com/x", **again}}
    certificate_id = add_certificate(app, agent, left=40, authority_id=authority, **window, **failing)
    main = soup(bobs.get(f"/certificates/{certificate_id}")).select_one("main")
    assert main is not None
    for text in (
        str(FAILURE["sentence"]), str(FAILURE["next_step"]), "Visitors are not affected.", "valid for 40 days", HOSTILE,
        "2 tries in a row", "Window", "04a1b2c3", "/etc/letsencrypt/live/app.example.com/fullchain.pem",
    ):  # fmt: skip
        assert text in main.text
    assert main.select("script") == []
    assert main.select_one('a[href="https://portal.example.com/x"][rel~=noopener]')
    actions = {form["action"] for form in main.select("form[method=post]")}
    assert {f"/certificates/{certificate_id}/{verb}" for verb in ("renew", "pause", "try-on-staging")} <= actions


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://portal.example.com/", "data:text/html,x"])
def test_an_authoritys_page_is_only_opened_by_https(app: Flask, bobs: FlaskClient, agent: Agent, url: str) -> None:
    certificate_id = add_certificate(app, agent, failures=1, last_failure={**FAILURE, "url": url}, window_url=url)
    assert url not in bobs.get(f"/certificates/{certificate_id}").text


def test_a_test_authority_is_named_as_one(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    test = add_authority(app, "Test authority", is_test=True)
    certificate_id = add_certificate(app, agent, authority_id=test)
    assert "browsers do not trust these certificates" in bobs.get(f"/certificates/{certificate_id}").text
    assert soup(bobs.get("/certificates")).select_one("#rows .tag")


def test_renew_makes_one_job_however_often_it_is_pressed(
    app: Flask, bobs: FlaskClient, agent: Agent, authority: int
) -> None:
    certificate_id = add_certificate(app, agent, authority_id=authority)
    addresses = {bobs.post(f"/certificates/{certificate_id}/renew").location for _ in range(5)}
    (job,) = commands(app)
    assert addresses == {f"/jobs/{job.id}"}
    assert job.kind == CommandKind.RENEW_CERTIFICATE
    assert "A job works on it now" in bobs.get(f"/certificates/{certificate_id}").text


def test_a_rehearsal_is_an_order_that_installs_nothing(
    app: Flask, bobs: FlaskClient, agent: Agent, authority: int
) -> None:
    certificate_id = add_certificate(app, agent, authority_id=authority)
    assert bobs.post(f"/certificates/{certificate_id}/try-on-staging").status_code == 303
    (job,) = commands(app)
    assert (job.kind, job.payload["dry_run"]) == (CommandKind.ISSUE_CERTIFICATE, True)


def test_pause_can_be_undone_from_the_toast(app: Flask, bobs: FlaskClient, agent: Agent, authority: int) -> None:
    certificate_id = add_certificate(app, agent, authority_id=authority)
    assert bobs.post(f"/certificates/{certificate_id}/pause").location == f"/certificates/{certificate_id}"
    page = bobs.get(f"/certificates/{certificate_id}").text
    assert f'action="/certificates/{certificate_id}/resume"' in page
    assert certificate(app, certificate_id).is_paused
    bobs.post(f"/certificates/{certificate_id}/resume")
    assert not certificate(app, certificate_id).is_paused


@pytest.mark.parametrize("phrase", ["", "revoke", "app.example.com", "revoke other.example.com"])
def test_revoking_needs_the_phrase(app: Flask, bobs: FlaskClient, agent: Agent, authority: int, phrase: str) -> None:
    certificate_id = add_certificate(app, agent, authority_id=authority)
    response = bobs.post(f"/certificates/{certificate_id}/revoke", data={"phrase": phrase, "reason": "1"})
    assert response.location == f"/certificates/{certificate_id}"
    assert commands(app) == []


def test_revoking_sends_the_reason(app: Flask, bobs: FlaskClient, agent: Agent, authority: int) -> None:
    certificate_id = add_certificate(app, agent, authority_id=authority)
    data = {"phrase": "Revoke app.example.com", "reason": "1"}
    response = bobs.post(f"/certificates/{certificate_id}/revoke", data=data)
    (job,) = commands(app)
    assert response.location == f"/jobs/{job.id}"
    assert (job.kind, job.payload["reason"]) == (CommandKind.REVOKE_CERTIFICATE, 1)


@pytest.mark.parametrize("reason", ["7", "x", "-1", ""])
def test_only_reasons_of_the_list_are_sent(
    app: Flask, bobs: FlaskClient, agent: Agent, authority: int, reason: str
) -> None:
    certificate_id = add_certificate(app, agent, authority_id=authority)
    bobs.post(f"/certificates/{certificate_id}/revoke", data={"phrase": "revoke app.example.com", "reason": reason})
    assert commands(app) == []


def test_a_used_certificate_is_only_deleted_when_its_hosts_are_unlinked(
    app: Flask, bobs: FlaskClient, agent: Agent
) -> None:
    certificate_id = add_certificate(app, agent)
    host_id = add_host(app, agent)
    link(app, host_id, certificate_id)
    refused = bobs.post(f"/certificates/{certificate_id}/delete")
    assert refused.status_code == 409
    assert "app.example.com" in refused.text
    dialog = soup(bobs.get(f"/certificates/{certificate_id}")).select_one("dialog#delete")
    assert dialog is not None
    assert "app.example.com" in dialog.text
    assert "Unlink and delete" in dialog.text
    assert bobs.post(f"/certificates/{certificate_id}/delete", data={"unlink": "y"}).status_code == 303
    assert CommandKind.DELETE_CERTIFICATE in {command.kind for command in commands(app)}
    with app.app_context():
        assert proxy_hosts.get(host_id).certificate_id is None


def test_matching_hosts_are_offered_and_served_with_it(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    certificate_id = add_certificate(app, agent, "example.com", "*.example.com")
    fitting = [add_host(app, agent, f"{name}.example.com") for name in ("a", "b", "c")]
    add_host(app, agent, "deep.a.example.com")
    page = soup(bobs.get(f"/certificates/{certificate_id}"))
    boxes = page.select("input[name=host][checked]")
    assert [int(str(box["value"])) for box in boxes] == fitting
    assert "Use on 3 matching hosts" in page.text
    bobs.post(f"/certificates/{certificate_id}/use", data={"host": [str(i) for i in fitting[:2]]})
    with app.app_context():
        linked = [proxy_hosts.get(host_id).certificate_id for host_id in fitting]
    assert linked == [certificate_id, certificate_id, None]
    assert [command.kind for command in commands(app)] == [CommandKind.APPLY_CONFIG]


def test_a_host_of_other_names_is_not_served_with_it(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    certificate_id = add_certificate(app, agent)
    host_id = add_host(app, agent, "other.example.com")
    response = bobs.post(f"/certificates/{certificate_id}/use", data={"host": str(host_id)})
    assert response.status_code == 422
    with app.app_context():
        assert proxy_hosts.get(host_id).certificate_id is None


def test_no_host_chosen_changes_nothing(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    certificate_id = add_certificate(app, agent)
    assert bobs.post(f"/certificates/{certificate_id}/use").location == f"/certificates/{certificate_id}"
    assert "Choose at least one host" in bobs.get("/certificates").text


def test_its_history_is_its_jobs(app: Flask, bobs: FlaskClient, agent: Agent, authority: int) -> None:
    first, second = (add_certificate(app, agent, name, authority_id=authority) for name in ("a.example", "b.example"))
    bobs.post(f"/certificates/{first}/renew")
    (job,) = commands(app)
    assert f'href="/jobs/{job.id}"' in bobs.get(f"/certificates/{first}").text
    assert f'href="/jobs/{job.id}"' not in bobs.get(f"/certificates/{second}").text


def test_what_certbot_does_is_shown_and_can_be_taken_over(
    app: Flask, bobs: FlaskClient, agent: Agent, authority: int
) -> None:
    certificate_id = add_certificate(app, agent, source="certbot", next_action_at=None)
    assert f'href="/certificates/{certificate_id}/take-over"' in bobs.get("/certificates").text
    page = bobs.get(f"/certificates/{certificate_id}").text
    assert "certbot renews it on that machine" in page
    assert f"/certificates/{certificate_id}/renew" not in page
    assert "certbot leaves it alone" in bobs.get(f"/certificates/{certificate_id}/take-over").text
    data = {"authority_id": str(authority), "challenge": "http-01", "key_type": "ec-256"}
    response = bobs.post(f"/certificates/{certificate_id}/take-over", data=data)
    (job,) = commands(app)
    assert response.location == f"/jobs/{job.id}"
    assert job.kind == CommandKind.TAKE_OVER_CERTIFICATE


def test_how_it_is_renewed_can_be_changed(app: Flask, bobs: FlaskClient, agent: Agent, authority: int) -> None:
    certificate_id = add_certificate(app, agent, authority_id=authority)
    data = {"authority_id": str(authority), "challenge": "http-01", "key_type": "rsa-3072"}
    assert bobs.post(f"/certificates/{certificate_id}/edit", data=data).location == f"/certificates/{certificate_id}"
    assert certificate(app, certificate_id).key_type == "rsa-3072"
    assert [command.kind for command in commands(app)] == [CommandKind.CONFIGURE_CERTIFICATE]
    refused = bobs.post(f"/certificates/{certificate_id}/edit", data={**data, "challenge": "dns-01"})
    assert refused.status_code == 422
    assert "needs a DNS credential" in refused.text


def test_the_live_stream_sends_rows_and_the_page(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    certificate_id = add_certificate(app, agent)
    url = f"/live?topics=certificates&rows={certificate_id},999,x&certificate={certificate_id}&total=5"
    with bobs.get(url, buffered=False) as response:
        first = next(response.iter_encoded()).decode()
    assert f'hx-target="#certificate-{certificate_id} [data-cell=status]"' in first
    assert f'hx-target="#certificate-page-{certificate_id}"' in first
    assert "The list has changed" in first


@pytest.mark.parametrize("verb", BUTTONS)
def test_buttons_need_an_editor_a_token_and_a_certificate(
    app: Flask, client: FlaskClient, bob: User, charlie: User, agent: Agent, verb: str
) -> None:
    certificate_id = add_certificate(app, agent)
    login(client, charlie)
    assert client.post(f"/certificates/{certificate_id}/{verb}").status_code == 403
    login(client, bob)
    assert client.post(f"/certificates/999/{verb}").status_code == 404
    assert client.get(f"/certificates/{certificate_id}/{verb}").status_code == 405
    app.config["WTF_CSRF_ENABLED"] = True
    assert client.post(f"/certificates/{certificate_id}/{verb}").status_code == 400
    with app.app_context():
        assert db.session.query(Command).count() == 0


@pytest.mark.parametrize("path", [f"/certificates/1/{form}" for form in FORMS] + ["/certificates/new"])
def test_forms_that_could_only_be_refused_are_not_shown(
    app: Flask, client: FlaskClient, charlie: User, agent: Agent, path: str
) -> None:
    add_certificate(app, agent)
    login(client, charlie)
    assert client.get(path).status_code == 403


@pytest.mark.parametrize("path", ["/certificates", "/certificates/1", "/certificates/2"])
def test_a_viewer_sees_no_button_that_would_fail(
    app: Flask, client: FlaskClient, charlie: User, agent: Agent, path: str
) -> None:
    add_certificate(app, agent, failures=1, last_failure=FAILURE)
    add_certificate(app, agent, "found.example.com", source="certbot")
    add_host(app, agent)
    login(client, charlie)
    main = soup(client.get(path)).select_one("main")
    assert main is not None
    assert main.select("form[method=post]") == []
    assert main.select('a[href*="/edit"], a[href*="/new"], a[href*="/take-over"], a[href*="/upload"]') == []


@pytest.mark.parametrize("path", ["999", "0", "99999999999999999999", "x", "-1"])
def test_unknown_certificates_are_not_found(bobs: FlaskClient, path: str) -> None:
    assert bobs.get(f"/certificates/{path}").status_code == 404


def test_a_wish_that_never_came_can_be_asked_for_again(
    app: Flask, bobs: FlaskClient, agent: Agent, authority: int
) -> None:
    certificate_id = add_wish(app, agent, authority_id=authority, last_failure=FAILURE, failures=1)
    page = bobs.get(f"/certificates/{certificate_id}").text
    assert "Request now" in page
    assert "Visitors are not affected" not in page
    bobs.post(f"/certificates/{certificate_id}/renew")
    assert [command.kind for command in commands(app)] == [CommandKind.ISSUE_CERTIFICATE]


def test_a_host_of_an_internationalised_name_reads_as_people_write_it(
    app: Flask, bobs: FlaskClient, agent: Agent
) -> None:
    certificate_id = add_certificate(app, agent, "xn--bcher-kva.example.com")
    assert rows(bobs.get("/certificates")) == ["bücher.example.com"]
    assert "bücher.example.com" in bobs.get(f"/certificates/{certificate_id}").text
