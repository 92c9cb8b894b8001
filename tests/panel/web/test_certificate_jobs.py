"""The page of a job about a certificate: its steps, the records to add, what the check found, why it failed.
May import: panel and the fixtures of tests.conftest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.extensions import db
from panel.models import Agent, Certificate, Command, CommandKind, CommandState, User
from panel.models.types import utcnow
from tests.certificates import FAILURE, HOSTILE, add_authority, add_certificate, add_credential, add_wish
from tests.conftest import login
from tests.hosts import add_host, commands
from tests.jobs import Line, Make, add_job

STORY: list[Line] = [
    (0.3, "check", "stage", "Looking"),
    (1.1, "order", "stage", "Ordering"),
    (2.0, "challenge", "stage", "Placing"),
    (2.4, "validation", "stage", "Validation"),
    (4.0, "cleanup", "info", "The challenge is removed"),
    (4.1, "issued", "stage", "Issuing"),
    (4.5, "installed", "stage", "Installing"),
    (4.7, "reload", "stage", "Reloading"),
    (5.5, "served", "stage", "Asking nginx"),
    (5.8, "served", "ok", "nginx serves it"),
]
LABELS = [
    "Send to local", "Check first", "Order created", "Challenge in place", "Validation", "Issued", "Installed",
    "nginx reloaded", "Served over HTTPS",
]  # fmt: skip
FINDINGS = [
    {"level": "ok", "check": "storage", "subject": "", "sentence": "The folder can be written.", "next_step": "",
     "record": "", "cause": ""},
    {"level": "warning", "check": "public", "subject": "app.example.com", "sentence": f"Not seen. {HOSTILE}",
     "next_step": "Go on when port 80 is open.", "record": "", "cause": ""},
]  # fmt: skip
NO_ADDRESS = {"level": "error", "check": "address", "subject": "app.example.com", "cause": "no_address",
              "sentence": "app.example.com has no address yet.", "next_step": "Add this record.",
              "record": "app.example.com A 203.0.113.5"}  # fmt: skip


@pytest.fixture
def wish(app: Flask, agent: Agent) -> int:
    """A certificate that is being requested."""
    staging = "https://staging.example.com/directory"
    return add_wish(app, agent, authority_id=add_authority(app, is_default=True, staging_directory_url=staging))


@pytest.fixture
def make(app: Flask, agent: Agent) -> Make:
    """Stores a job about a certificate with output and gives its id."""

    def make(kind: str, state: str, lines: Sequence[Line] = (), about: int | None = None, **values: Any) -> str:
        known = {"certificate_id": about, "resource": "acme:app.example.com" if about else ""}
        return add_job(app, agent, kind, state, lines, **{**known, **values})

    return make


@pytest.fixture
def page(client: FlaskClient, bob: User) -> Callable[[str], BeautifulSoup]:
    """Opens a job's page as an operator."""
    login(client, bob)

    def open_page(command_id: str) -> BeautifulSoup:
        response = client.get(f"/jobs/{command_id}")
        assert response.status_code == 200
        return BeautifulSoup(response.text, "html.parser")

    return open_page


Page = Callable[[str], BeautifulSoup]


def labels(soup: BeautifulSoup, state: str = "") -> list[str]:
    """The steps, or those in one state."""
    chosen = soup.select(f".steps li.{state} .t" if state else ".steps li .t")
    return [step.text.split(": ", 1)[1] for step in chosen]


def actions(soup: BeautifulSoup) -> dict[str, str]:
    """The buttons at the top: their words and where they lead."""
    return {form.text.strip(): str(form["action"]).rpartition("/")[2] for form in soup.select("#actions form")}


def test_an_order_tells_its_whole_story_in_steps(page: Page, make: Make, wish: int) -> None:
    soup = page(make("issue_certificate", "succeeded", STORY, wish))
    assert labels(soup) == LABELS == labels(soup, "done")
    assert soup.select_one("h1").text == "Request certificate: app.example.com"  # type: ignore[union-attr]
    facts = soup.select_one("#facts")
    assert facts is not None
    for text in ("app.example.com", "Example CA", "HTTP-01", "ECDSA P-256"):
        assert text in facts.text


def test_a_running_stage_says_what_it_waits_for_and_the_agents_newest_words(page: Page, make: Make, wish: int) -> None:
    lines = [*STORY[:4], (2.9, "validation", "info", f"Asked from 2 places {HOSTILE}")]
    now = page(make("issue_certificate", "running", lines, wish)).select_one("li.now")
    assert now is not None
    assert HOSTILE in now.text
    assert now.select("script") == []
    assert "Usually 2 to 10 seconds" in now.text


def test_tidying_up_is_no_step_forwards(page: Page, make: Make, wish: int) -> None:
    soup = page(make("issue_certificate", "running", STORY[:5], wish))
    assert labels(soup, "now") == ["Validation"]


def test_records_of_a_manual_challenge_stand_in_its_step_with_copy_buttons(
    app: Flask, agent: Agent, page: Page, make: Make, wish: int
) -> None:
    with app.app_context():
        row = db.session.get_one(Certificate, wish)
        row.challenge = "dns-01"
        db.session.commit()
    record = (2.1, "challenge", "record", '_acme-challenge.app.example.com TXT gfj9"><b>x</b>')
    soup = page(make("issue_certificate", "running", [*STORY[:3], record], wish))
    step = soup.select_one("li.now")
    assert step is not None
    copied = [button["data-copy"] for button in step.select("[data-copy]")]
    assert copied == ["_acme-challenge.app.example.com", 'gfj9"><b>x</b>']
    assert all(button["aria-label"] for button in step.select("[data-copy]"))
    assert "some providers need 10" in step.text
    over = page(make("issue_certificate", "cancelled", [*STORY[:3], record], wish))
    assert over.select(".steps [data-copy]") == []


def test_a_failure_says_what_who_and_what_next_in_the_agents_words(
    app: Flask, agent: Agent, page: Page, make: Make, wish: int
) -> None:
    link_host(app, agent, wish)
    failure = {**FAILURE, "url": "https://portal.example.com/unpause", "retry_at": "2099-01-01T00:00:00+00:00"}
    result = {"failure": failure, "failed_stage": "validation", "findings": FINDINGS}
    soup = page(make("issue_certificate", "failed", STORY[:4], wish, reason="FAILED", error="x", result=result))
    card = soup.select_one("#failure")
    assert card is not None
    assert card["role"] == "alert"
    for text in (str(FAILURE["sentence"]), str(FAILURE["next_step"]), HOSTILE, "served as plain HTTP", "1 Jan 2099"):
        assert text in card.text
    assert card.select("script") == []
    assert card.select_one("details pre")
    assert card.select_one('a[href="https://portal.example.com/unpause"][rel~=noreferrer]')
    assert labels(soup, "fail") == ["Validation"]
    assert actions(soup) == {"Try on staging": "try-on-staging", "Retry": "retry"}
    found = soup.select("#outcome .dns li")
    assert [item.text.strip().split(":")[0] for item in found] == ["Needs your attention", "Good"]


def link_host(app: Flask, agent: Agent, certificate_id: int) -> int:
    """A host that waits for the certificate."""
    host_id = add_host(app, agent)
    with app.app_context():
        db.session.execute(
            db.text("UPDATE proxy_host SET certificate_id = :c WHERE id = :h"), {"c": certificate_id, "h": host_id}
        )
        db.session.commit()
    return host_id


def test_a_failed_renewal_reassures_while_the_certificate_lasts(
    app: Flask, agent: Agent, page: Page, make: Make
) -> None:
    certificate_id = add_certificate(app, agent, left=6, authority_id=add_authority(app))
    link_host(app, agent, certificate_id)
    result = {"failure": FAILURE, "failed_stage": "order"}
    values = {"reason": "FAILED", "error": "x", "result": result}
    soup = page(make("renew_certificate", "failed", STORY[1:2], certificate_id, **values))
    note = soup.select_one("#failure .note.ok")
    assert note is not None
    assert "Visitors are not affected" in note.text
    assert "6 more days" in note.text
    assert "by the agent" in soup.select_one("#facts").text  # type: ignore[union-attr]
    assert labels(soup)[0] == "Begun by local"


def test_an_expired_certificate_is_not_harmless(app: Flask, agent: Agent, page: Page, make: Make) -> None:
    certificate_id = add_certificate(app, agent, left=-1)
    link_host(app, agent, certificate_id)
    values = {"reason": "FAILED", "error": "x", "result": {"failure": FAILURE}}
    soup = page(make("renew_certificate", "failed", STORY[1:2], certificate_id, **values))
    assert soup.select_one("#failure .note.ok") is None
    assert "has expired" in soup.select_one("#failure").text  # type: ignore[union-attr]


def test_doubts_ask_the_person_and_request_anyway_says_yes(
    app: Flask, client: FlaskClient, page: Page, make: Make, wish: int
) -> None:
    result = {"needs_confirmation": True, "failed_stage": "check", "findings": FINDINGS}
    command_id = make("issue_certificate", "failed", STORY[:1], wish, reason="FAILED", error="x", result=result)
    soup = page(command_id)
    assert "Needs your yes" in soup.select_one("#status").text  # type: ignore[union-attr]
    assert "1 doubt" in soup.select_one("#failure").text  # type: ignore[union-attr]
    assert list(actions(soup)) == ["Try on staging", "Retry", "Request anyway"]
    client.post(f"/jobs/{command_id}/retry", data={"accept_warnings": "y"})
    assert commands(app)[-1].payload["accept_warnings"] is True


def test_a_rehearsal_is_named_one_and_leads_to_the_real_request(
    app: Flask, client: FlaskClient, page: Page, make: Make, wish: int
) -> None:
    failed = make("issue_certificate", "failed", STORY[:4], wish, result={"failure": FAILURE}, reason="FAILED")
    client.get("/")
    login_and_post(client, app, f"/jobs/{failed}/try-on-staging")
    rehearsal = commands(app)[-1]
    assert rehearsal.payload["dry_run"] is True
    with app.app_context():
        row = db.session.get_one(Command, rehearsal.id)
        row.state, row.finished_at = "succeeded", utcnow()
        db.session.commit()
    soup = page(rehearsal.id)
    assert "Try on staging" in soup.select_one("h1").text  # type: ignore[union-attr]
    assert "Installed" not in labels(soup)
    assert actions(soup) == {"Request certificate": "request"}
    client.post(f"/jobs/{rehearsal.id}/request")
    assert commands(app)[-1].payload["dry_run"] is False


def login_and_post(client: FlaskClient, app: Flask, path: str) -> None:
    """As the operator whose page is open."""
    with app.app_context():
        user = db.session.query(User).filter_by(username="bob").one()
        login(client, user)
    assert client.post(path).status_code == 303


@pytest.mark.parametrize(
    ("found", "word", "tone"),
    [
        (FINDINGS[:1], "Nothing stands in the way", "ok"),
        (FINDINGS, "With doubts", "warn"),
        ([*FINDINGS, NO_ADDRESS], "Something must be mended", "bad"),
    ],
)
def test_a_check_says_what_it_found_and_not_that_it_ran(
    page: Page, make: Make, found: list[dict[str, str]], word: str, tone: str
) -> None:
    payload = {"name": "app.example.com", "spec": {}}
    soup = page(make("check_names", "succeeded", result={"findings": found}, payload=payload))
    pill = soup.select_one(f"#status .pill.{tone}")
    assert pill is not None
    assert pill.text.strip() == word
    assert soup.select_one("h1").text == "Check names: app.example.com"  # type: ignore[union-attr]
    assert soup.select("#outcome script") == []


def test_a_missing_address_shows_the_record_to_add(page: Page, make: Make) -> None:
    soup = page(make("check_names", "succeeded", result={"findings": [NO_ADDRESS]}, payload={"name": "x"}))
    copied = [button["data-copy"] for button in soup.select("#outcome [data-copy]")]
    assert copied == ["app.example.com", "203.0.113.5"]


@pytest.mark.parametrize(("ok", "word"), [(True, "It works"), (False, "It does not work")])
def test_the_test_of_a_credential_says_whether_it_works(
    app: Flask, agent: Agent, page: Page, make: Make, ok: bool, word: str
) -> None:
    credential_id = add_credential(app, agent)
    result = {"ok": ok, "sentence": f"The zone was found. {HOSTILE}", "zones": ["example.com"]}
    payload = {"dns_credential_id": credential_id, "zone": "example.com"}
    soup = page(make("check_dns_credential", "succeeded", result=result, payload=payload))
    assert word in soup.select_one("#status").text  # type: ignore[union-attr]
    assert HOSTILE in soup.select_one("#outcome").text  # type: ignore[union-attr]
    assert soup.select_one('a[href="/settings/dns"]')


@pytest.mark.parametrize("kind", [kind for kind in CommandKind if "certificate" in kind or kind.is_question])
def test_every_kind_has_a_page_in_every_state(page: Page, make: Make, kind: CommandKind) -> None:
    payload = {"scheme": "http", "host": "app", "port": 80} if kind is CommandKind.CHECK_UPSTREAM else {}
    for state in CommandState:
        soup = page(make(kind, state, resource="acme:gone.example.com", payload=payload))
        assert soup.select(".steps li")
        assert soup.select_one("h1")


def test_the_job_of_a_deleted_certificate_still_reads(page: Page, make: Make) -> None:
    soup = page(make("delete_certificate", "succeeded", about=99))
    assert soup.select_one("h1").text == "Delete certificate: app.example.com"  # type: ignore[union-attr]


@pytest.mark.parametrize("result", [{"failure": {"sentence": 7}}, {"findings": [{}]}, {"failure": {"at": "never"}}])
def test_results_of_another_shape_do_no_harm(page: Page, make: Make, wish: int, result: dict[str, Any]) -> None:
    assert page(make("issue_certificate", "failed", STORY[:1], wish, error="x", reason="FAILED", result=result))


def test_the_stream_carries_records_and_the_failure(client: FlaskClient, bob: User, make: Make, wish: int) -> None:
    record = (2.1, "challenge", "record", "_acme-challenge.app.example.com TXT abc")
    command_id = make("issue_certificate", "failed", [*STORY[:3], record], wish, result={"failure": FAILURE})
    login(client, bob)
    with client.get(f"/jobs/{command_id}/stream", buffered=False) as response:
        told = b"".join(response.iter_encoded()).decode()
    assert "Why it failed" in told
    assert "<script>alert" not in told
    assert "event: done" in told


@pytest.mark.parametrize("verb", ["try-on-staging", "request", "retry"])
def test_orders_again_need_an_editor(client: FlaskClient, charlie: User, make: Make, wish: int, verb: str) -> None:
    login(client, charlie)
    assert client.post(f"/jobs/{make('issue_certificate', 'failed', about=wish)}/{verb}").status_code == 403
