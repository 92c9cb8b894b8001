"""Two people on one host: what both changed is shown side by side, what only one touched is merged, nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from panel.extensions import db, transaction
from panel.models import Agent, ProxyHost, User
from panel.services import proxy_hosts
from panel.services.proxy_hosts import spec_of
from tests.hosts import add_host


@pytest.fixture
def host_id(app: Flask, agent: Agent) -> int:
    return add_host(app, agent)


def alice_saves(app: Flask, alice: User, host_id: int, **changes: Any) -> None:
    with app.app_context(), transaction():
        host = proxy_hosts.get(host_id)
        spec = replace(spec_of(host), **changes)
        proxy_hosts.update(host, spec, db.session.get(User, alice.id), version=host.version)


def fields(markup: str) -> dict[str, str]:
    """What a browser would post from the form on this page."""
    form = BeautifulSoup(markup, "html.parser").select_one("#host-form")
    assert form is not None
    posted: dict[str, str] = {"then": "save"}
    for control in form.select("input[name], textarea[name], select[name]"):
        kind, name = control.get("type"), str(control["name"])
        if kind in {"checkbox", "radio"} and not control.has_attr("checked"):
            continue
        if control.name == "select":
            chosen = control.select_one("option[selected]")
            posted[name] = str(chosen["value"]) if chosen else ""
        else:
            posted[name] = control.text.strip() if control.name == "textarea" else str(control.get("value", "y"))
    return posted


def opened(client: FlaskClient, host_id: int) -> dict[str, str]:
    return fields(client.get(f"/hosts/{host_id}/edit").text)


def save(client: FlaskClient, host_id: int, posted: dict[str, str], **headers: str) -> TestResponse:
    return client.post(f"/hosts/{host_id}/edit", data=posted, headers=headers)


def rows(response: TestResponse) -> dict[str, str]:
    """The table of versions, by field."""
    table = BeautifulSoup(response.text, "html.parser").select_one("table.versions")
    assert isinstance(table, Tag)
    found = {}
    for row in table.select("tbody tr"):
        head = row.select_one("th")
        assert head is not None
        found[head.text.strip()] = " | ".join(cell.get_text(" ", strip=True) for cell in row.select("td"))
    return found


def saved(app: Flask, host_id: int) -> ProxyHost:
    with app.app_context():
        return proxy_hosts.get(host_id)


def test_what_only_one_of_them_touched_is_merged_after_it_was_shown(
    app: Flask, bobs: FlaskClient, alice: User, host_id: int
) -> None:
    mine = opened(bobs, host_id) | {"forward_port": "4000"}
    alice_saves(app, alice, host_id, forward_host="10.0.0.99", notes="hers")
    response = save(bobs, host_id, mine)
    assert response.status_code == 409
    assert "alice saved this host" in response.text
    table = rows(response)
    assert table["Upstream host"] == "10.0.0.5 | 10.0.0.99 | 10.0.0.5 | Theirs: you did not touch it."
    assert table["Upstream port"] == "3000 | 3000 | 4000 | Yours: they did not touch it."
    assert table.keys() == {"Upstream host", "Upstream port", "Notes"}
    assert saved(app, host_id).forward_port == 3000
    assert save(bobs, host_id, fields(response.text)).status_code == 303
    host = saved(app, host_id)
    assert (host.forward_host, host.forward_port, host.notes) == ("10.0.0.99", 4000, "hers")


@pytest.mark.parametrize(("choice", "port"), [("theirs", 5000), ("yours", 4000)])
def test_what_both_changed_must_be_chosen(
    app: Flask, bobs: FlaskClient, alice: User, host_id: int, choice: str, port: int
) -> None:
    mine = opened(bobs, host_id) | {"forward_port": "4000"}
    alice_saves(app, alice, host_id, forward_port=5000)
    shown = save(bobs, host_id, mine)
    assert rows(shown)["Upstream port"] == "3000 | 5000 | 4000 | Upstream port: whose value is saved? Theirs Yours"
    again = save(bobs, host_id, fields(shown.text))
    assert again.status_code == 409
    assert "Choose for Upstream port, then save." in again.text
    assert 'value="4000"' in again.text
    assert saved(app, host_id).forward_port == 5000
    last = save(bobs, host_id, fields(again.text) | {"keep-forward_port": choice})
    assert last.status_code == 303
    assert saved(app, host_id).forward_port == port


def test_a_choice_is_asked_for_again_when_they_save_once_more(
    app: Flask, bobs: FlaskClient, alice: User, host_id: int
) -> None:
    mine = opened(bobs, host_id) | {"forward_port": "4000"}
    alice_saves(app, alice, host_id, forward_port=5000)
    shown = save(bobs, host_id, mine)
    alice_saves(app, alice, host_id, forward_port=6000)
    again = save(bobs, host_id, fields(shown.text) | {"keep-forward_port": "yours"})
    assert again.status_code == 409
    assert rows(again)["Upstream port"].startswith("3000 | 6000 | 4000")
    assert saved(app, host_id).forward_port == 6000


def test_names_in_another_spelling_and_other_line_ends_are_no_difference(
    app: Flask, bobs: FlaskClient, alice: User, host_id: int
) -> None:
    mine = opened(bobs, host_id) | {"domain_names": "APP.example.com\r\n", "notes": "a\r\nb"}
    alice_saves(app, alice, host_id, notes="a\nb")
    response = save(bobs, host_id, mine)
    assert response.status_code == 303
    assert response.location == f"/hosts/{host_id}"


@pytest.mark.parametrize("opened_on", ["", "{", "[]", "{}", '{"notes": 1}', "x" * 70_000])
def test_a_form_that_does_not_say_what_it_was_opened_on_lets_everything_be_chosen(
    app: Flask, bobs: FlaskClient, alice: User, host_id: int, opened_on: str
) -> None:
    mine = opened(bobs, host_id) | {"forward_port": "4000", "opened": opened_on}
    alice_saves(app, alice, host_id, forward_host="10.0.0.99")
    response = save(bobs, host_id, mine)
    assert response.status_code == 409
    table = rows(response)
    assert table.keys() == {"Upstream host", "Upstream port"}
    assert all(cells.startswith("not known") and "whose value" in cells for cells in table.values())


def test_a_wrong_value_and_a_conflict_are_told_together(
    app: Flask, bobs: FlaskClient, alice: User, host_id: int
) -> None:
    mine = opened(bobs, host_id) | {"forward_port": "808O"}
    alice_saves(app, alice, host_id, forward_host="10.0.0.99")
    response = save(bobs, host_id, mine)
    assert response.status_code == 409
    assert "The last character is the letter O" in response.text or "808O" in response.text
    assert rows(response).keys() == {"Upstream host", "Upstream port"}
    assert save(bobs, host_id, fields(response.text)).status_code == 422


def test_htmx_gets_the_form_with_the_route_and_the_file_of_what_is_merged(
    app: Flask, bobs: FlaskClient, alice: User, host_id: int
) -> None:
    mine = opened(bobs, host_id) | {"forward_port": "4000"}
    alice_saves(app, alice, host_id, forward_host="10.0.0.99")
    response = save(bobs, host_id, mine, **{"HX-Request": "true"})
    assert response.status_code == 409
    assert "<html" not in response.text
    assert 'hx-target="#route"' in response.text
    assert "10.0.0.99:4000" in response.text


def test_compare_shows_the_table_and_saves_nothing(app: Flask, bobs: FlaskClient, alice: User, host_id: int) -> None:
    mine = opened(bobs, host_id) | {"forward_port": "4000", "then": "compare"}
    assert save(bobs, host_id, mine).status_code == 200
    alice_saves(app, alice, host_id, notes="hers")
    assert save(bobs, host_id, mine).status_code == 409
    assert saved(app, host_id).forward_port == 3000


def test_a_host_that_was_deleted_meanwhile_keeps_what_was_typed(app: Flask, bobs: FlaskClient, host_id: int) -> None:
    mine = opened(bobs, host_id) | {"forward_port": "4000"}
    with app.app_context(), transaction():
        proxy_hosts.delete(proxy_hosts.get(host_id), None)
    response = save(bobs, host_id, mine)
    assert response.status_code == 409
    assert "Bring it back on its page" in response.text
    assert 'value="4000"' in response.text


def test_hostile_values_of_the_other_person_are_text(app: Flask, bobs: FlaskClient, alice: User, host_id: int) -> None:
    mine = opened(bobs, host_id) | {"notes": "mine"}
    alice_saves(app, alice, host_id, notes="<script>alert(1)</script>")
    response = save(bobs, host_id, mine)
    assert "<script>alert" not in response.text
    assert "&lt;script&gt;alert" in response.text


def test_an_open_form_is_told_live_that_somebody_saved(
    app: Flask, bobs: FlaskClient, alice: User, host_id: int
) -> None:
    address = f"/live?topics=hosts&editing={host_id}&version=1"
    page = BeautifulSoup(bobs.get(f"/hosts/{host_id}/edit").text, "html.parser")
    live = page.select_one("#live")
    assert live is not None
    assert f"editing={host_id}" in str(live["hx-sse:connect"])
    assert "version=1" in str(live["hx-sse:connect"])
    assert "saved this host" not in first_message(bobs, address)
    alice_saves(app, alice, host_id, notes="hers")
    told = first_message(bobs, address)
    assert "alice saved this host" in told
    assert "Compare both" in told
    assert "#dock" not in told


def first_message(client: FlaskClient, address: str) -> str:
    """What a page is told when it begins to follow."""
    with client.get(address, buffered=False) as response:
        return next(chunk.decode() for chunk in response.iter_encoded() if b"#meanwhile" in chunk)
