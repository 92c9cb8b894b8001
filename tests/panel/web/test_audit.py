"""The audit log through the client: what it shows, filters, leads to, exports, and takes back."""

from __future__ import annotations

import csv
from io import StringIO

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Certificate, Command, Event, ProxyHost, User
from panel.services import audit, certificates, context, dns_credentials, events, proxy_hosts, undo_ways
from panel.services.dns_credentials import CredentialSpec
from panel.web.audit import export, words
from tests.certificates import add_certificate, add_credential
from tests.conftest import login
from tests.hosts import add_host
from tests.panel.web.test_hosts_form import values
from tests.statements import counted

HOSTILE = '<img src=x onerror="alert(1)">'


@pytest.fixture
def host_id(app: Flask, agent: Agent) -> int:
    return add_host(app, agent)


def page_of(client: FlaskClient, path: str = "/audit") -> BeautifulSoup:
    response = client.get(path)
    assert response.status_code == 200
    return BeautifulSoup(response.text, "html.parser")


def text_of(tag: Tag) -> str:
    return " ".join(tag.get_text(" ", strip=True).split())


def said(client: FlaskClient, path: str = "/audit") -> list[str]:
    """The sentences of the list."""
    return [text_of(cell) for cell in page_of(client, path).select("tr td.did > div")]


def edit(client: FlaskClient, agent: Agent, host_id: int, version: int = 1, **changes: str) -> None:
    form = values(agent, version=str(version), **changes)
    assert client.post(f"/hosts/{host_id}/edit", data=form).status_code == 303


def newest(app: Flask, host_id: int) -> int:
    with app.app_context():
        return audit.of_object("proxy_host", host_id, 1)[0].event.id


def host(app: Flask, host_id: int) -> ProxyHost:
    with app.app_context():
        found = proxy_hosts.get(host_id)
        db.session.expunge_all()
        return found


def test_an_entry_says_who_what_when_from_where_and_the_fields_by_their_labels(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int
) -> None:
    edit(bobs, agent, host_id, forward_port="4000", then="apply", notes="new\nmachine")
    row = page_of(bobs).select("tbody tr")[0]
    with app.app_context():
        job = db.session.scalars(select(Command.id)).one()
    assert text_of(row.select("td")[1]) == "bob"
    assert text_of(row.select("td.did > div")[0]) == "changed host app.example.com"
    assert row.select_one(f'a[href="/hosts/{host_id}"]')
    assert row.select_one(f'a[href="/jobs/{job}"]')
    assert "127.0.0.1" in row.text
    fields = {text_of(one.select("dt")[0]): text_of(one.select("dd")[0]) for one in row.select("dl > div")}
    assert fields["Upstream port"] == "before: 3000 after: 4000"
    assert fields["Notes"] == "before: none after: new machine"
    assert "Domain names" not in fields


@pytest.fixture
def five(app: Flask, agent: Agent) -> list[int]:
    return [add_host(app, agent, f"{letter}.example.com") for letter in "abcde"]


def undo_all_forms(page: BeautifulSoup) -> list[Tag]:
    return page.select("main form[action^='/hosts/bulk/undo?']")


def test_a_change_of_many_hosts_is_undone_for_all_from_the_log_the_history_and_the_overview(
    app: Flask, bobs: FlaskClient, client: FlaskClient, alice: User, five: list[int]
) -> None:
    for path in ("/audit", f"/hosts/{five[1]}", "/", "change"):
        login(client, alice)
        assert client.post("/hosts/bulk", data={"action": "disable", "host": five[:3]}).status_code == 303
        assert not any(host(app, host_id).is_enabled for host_id in five[:3])
        page = page_of(client, path if path != "change" else f"/audit/{newest(app, five[2])}")
        assert "together with 2 other hosts" in text_of(page)
        [form] = undo_all_forms(page)  # one, however many rows tell of it
        assert text_of(form) == "Undo for all 3 hosts"
        assert form["data-confirm"]
        back = form.select_one("[name=next]")
        assert back is not None
        undone = client.post(str(form["action"]), data={"next": str(back["value"])})
        assert undone.location == back["value"]
        assert all(host(app, host_id).is_enabled for host_id in five)
        assert "Undone for 3 hosts." in client.get("/audit").text


def test_a_change_of_many_hosts_is_undone_by_whoever_may_for_those_that_nobody_changed_since(
    app: Flask, client: FlaskClient, agent: Agent, alice: User, bob: User, charlie: User, five: list[int]
) -> None:
    login(client, alice)
    client.post("/hosts/bulk", data={"action": "disable", "host": five[:3]})
    client.post(f"/hosts/{five[2]}/enable")
    login(client, charlie)
    assert not undo_all_forms(page_of(client))
    login(client, bob)
    page = page_of(client)
    [form] = undo_all_forms(page)
    told = client.post(str(form["action"]), data={"next": "/audit"})
    assert "Undone for 2 hosts." in told.text
    assert "Somebody changed it since." in told.text
    assert all(host(app, host_id).is_enabled for host_id in five)
    opposite = undo_all_forms(page_of(client))
    assert [text_of(one) for one in opposite] == ["Undo for all 2 hosts"]  # that was a change of many, too
    client.post(str(opposite[0]["action"]))
    assert [host(app, host_id).is_enabled for host_id in five] == [False, False, True, True, True]


def test_many_hosts_are_one_line_of_the_recent_changes(bobs: FlaskClient, five: list[int]) -> None:
    bobs.post("/hosts/bulk", data={"action": "disable", "host": five})
    lines = [text_of(line) for line in page_of(bobs, "/").select("#changes li")]
    assert [line for line in lines if "disabled host" in line and "together with 4 other hosts" in line]
    assert len([line for line in lines if "disabled" in line]) == 1
    assert len([line for line in lines if "created" in line]) == 5


def test_days_are_said_to_be_utc_on_the_page_and_in_the_file(bobs: FlaskClient, host_id: int) -> None:
    days = [text_of(label) for label in page_of(bobs).select("label.day")]
    assert days == ["Since (UTC)", "Until (UTC)"]
    assert next(csv.reader(StringIO(bobs.get("/audit.csv").text)))[0] == "Time (UTC)"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?person=bob&kind=proxy_host", {"enabled host app.example.com", "disabled host app.example.com"}),
        ("?action=proxy_host:disable", {"disabled host app.example.com"}),
        ("?person=-&kind=proxy_host", {"created host app.example.com", "created host other.example.com"}),
        ("?kind=proxy_host&object=2", {"created host other.example.com"}),
        ("?q=other", {"created host other.example.com"}),
        ("?q=münchen", {"created host münchen.example.com"}),
        ("?since=2999-01-01", set()),
        ("?kind=agent&action=proxy_host:disable", set()),
        ("?kind=proxy_host&until=1999-01-01", set()),
    ],
)
def test_filters_are_in_the_url(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int, query: str, expected: set[str]
) -> None:
    add_host(app, agent, "other.example.com")
    if "münchen" in query:
        add_host(app, agent, "xn--mnchen-3ya.example.com")
    bobs.post(f"/hosts/{host_id}/disable")
    bobs.post(f"/hosts/{host_id}/enable")
    assert set(said(bobs, f"/audit{query}")) == expected
    shown = page_of(bobs, f"/audit{query}")
    assert f"{len(expected)} change" in text_of(shown.select(".tools.slim")[0])
    if not expected:
        assert "No change matches" in shown.text


@pytest.mark.parametrize("query", ["?before=x&after=-1&since=2026-99-01&kind=nothing&action=%00", "?before=999999999"])
def test_nonsense_selects_nothing_out(bobs: FlaskClient, host_id: int, query: str) -> None:
    assert "created host app.example.com" in said(bobs, f"/audit{query}")


def test_pages_lead_to_older_and_back(app: Flask, bobs: FlaskClient, agent: Agent, host_id: int) -> None:
    with app.app_context(), transaction():
        for number in range(2 * audit.PER_PAGE):
            events.record(None, "proxy_host", "refuse", host_id, f"h{number}.example.com")
    first = page_of(bobs, "/audit?kind=proxy_host")
    older = first.select_one("nav a[rel=next]")
    assert older is not None
    assert first.select_one("nav a[rel=prev]") is None
    second = page_of(bobs, str(older["href"]))
    newer = second.select_one("nav a[rel=prev]")
    assert newer is not None
    assert second.select_one("#live") is not None
    assert "newest=" not in str(second)
    back = page_of(bobs, str(newer["href"]))
    assert [row["id"] for row in back.select("tbody tr")] == [row["id"] for row in first.select("tbody tr")]


def test_htmx_gets_the_list_alone(bobs: FlaskClient, host_id: int) -> None:
    text = bobs.get("/audit", headers={"HX-Request": "true"}).text
    assert text.lstrip().startswith('<div id="rows">')
    assert "<html" not in text


def test_a_list_that_is_open_says_how_much_is_new(app: Flask, bobs: FlaskClient, agent: Agent, host_id: int) -> None:
    shown = page_of(bobs, "/audit?kind=proxy_host")
    assert "audit" in str(shown.select_one("#live"))
    line = shown.select_one("#audit-news")
    assert line is not None
    address = str(line["hx-get"])
    assert address == f"/audit?kind=proxy_host&newest={newest(app, host_id)}"
    add_host(app, agent, "one.example.com")
    add_host(app, agent, "two.example.com")
    news = BeautifulSoup(bobs.get(address, headers={"HX-Request": "true"}).text, "html.parser")
    assert text_of(news) == "2 new, refresh"
    assert news.select_one('a[href="/audit?kind=proxy_host"]')


def test_the_number_of_queries_does_not_grow_with_the_list(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int
) -> None:
    certificate_id = add_certificate(app, agent)

    def count(path: str) -> int:
        with counted(app) as asked:
            bobs.get(path)
        return len(asked)

    with app.app_context(), transaction():
        certificates.link(proxy_hosts.get(host_id), certificates.get(certificate_id), None)
    bobs.get("/audit")
    few = [count("/audit"), count(f"/hosts/{host_id}")]
    for number in range(12):
        edit(bobs, agent, host_id, number + 2, forward_port=str(4000 + number), certificate_id=str(certificate_id))
        add_host(app, agent, f"h{number}.example.com")
    assert [count("/audit"), count(f"/hosts/{host_id}")] == few


def test_undo_on_a_row_takes_it_back_and_offers_the_way_forth(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int
) -> None:
    edit(bobs, agent, host_id, forward_port="4000", then="apply")
    button = page_of(bobs).select_one("tbody tr form[action$='/undo']")
    assert button is not None
    response = bobs.post(str(button["action"]), data={"next": "/audit?kind=proxy_host"})
    assert response.location == "/audit?kind=proxy_host"
    assert host(app, host_id).forward_port == 3000
    toast = page_of(bobs, "/audit").select_one("[data-toast]")
    assert toast is not None
    assert "Undone: “changed host app.example.com”. It is being applied now." in text_of(toast)
    again = toast.select_one("form")
    assert again is not None
    assert again["action"] == f"/audit/{newest(app, host_id)}/undo"
    bobs.post(str(again["action"]))
    assert host(app, host_id).forward_port == 4000


def test_what_changed_since_has_a_link_instead_and_the_page_shows_what_came_after(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int
) -> None:
    edit(bobs, agent, host_id, forward_port="4000")
    old = newest(app, host_id)
    edit(bobs, agent, host_id, 2, forward_port="5000")
    row = page_of(bobs).select_one(f"#event-{old}")
    assert row is not None
    assert row.select_one("form") is None
    assert row.select_one(f'a[href="/audit/{old}"]')
    response = bobs.post(f"/audit/{old}/undo", data={"next": "/hosts"})
    assert response.location == f"/audit/{old}"
    shown = page_of(bobs, f"/audit/{old}")
    assert "somebody changed app.example.com since" in shown.text
    later = shown.select("tbody tr")
    assert [row["id"] for row in later] == [f"event-{newest(app, host_id)}"]
    assert later[0].select_one("details[open]")
    assert host(app, host_id).forward_port == 5000


def test_toasts_of_edits_and_switches_offer_undo(app: Flask, bobs: FlaskClient, agent: Agent, host_id: int) -> None:
    def offered(path: str) -> str:
        form = page_of(bobs, path).select_one("[data-toast] form")
        assert form is not None
        return str(form["action"])

    edit(bobs, agent, host_id, forward_port="4000")
    assert offered("/hosts") == f"/audit/{newest(app, host_id)}/undo"
    bobs.post(f"/hosts/{host_id}/disable")
    assert offered("/hosts") == f"/audit/{newest(app, host_id)}/undo"
    edit(bobs, agent, host_id, 3, forward_port="4001", is_enabled="", then="apply")
    assert offered("/jobs") == f"/audit/{newest(app, host_id)}/undo"
    edit(bobs, agent, host_id, 4, forward_port="4001", is_enabled="")  # saves what is saved
    assert page_of(bobs, "/hosts").select_one("[data-toast] form") is None


def test_viewers_read_and_have_no_buttons(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int, charlie: User
) -> None:
    edit(bobs, agent, host_id, forward_port="4000")
    viewer = app.test_client()
    login(viewer, charlie)
    for path in ("/audit", f"/audit/{newest(app, host_id)}", f"/hosts/{host_id}"):
        shown = page_of(viewer, path)
        assert not shown.select("form[action*='/undo'], form[action*='/versions/'], a[href^='/audit/']"), path
    assert viewer.get("/audit.csv").status_code == 200


def test_a_change_that_nobody_knows_is_not_found(bobs: FlaskClient) -> None:
    for path in ("/audit/999", "/audit/99999999999"):
        assert bobs.get(path).status_code == 404
    assert bobs.post("/audit/999/undo").status_code == 404


def test_the_file_holds_what_the_list_does_in_words(app: Flask, bobs: FlaskClient, agent: Agent, host_id: int) -> None:
    edit(bobs, agent, host_id, forward_port="4000", notes="=1+1", http2="y")
    response = bobs.get("/audit.csv?kind=proxy_host")
    assert response.mimetype == "text/csv"
    assert "attachment" in response.headers["Content-Disposition"]
    rows = list(csv.reader(StringIO(response.text)))
    assert rows[0] == list(export.HEADINGS)
    assert [row[2] for row in rows[1:]] == ["changed host app.example.com", "created host app.example.com"]
    assert rows[1][1:2] + rows[1][3:6] == ["bob", "Host", "app.example.com", "127.0.0.1"]
    assert rows[1][7] == "Upstream port: 3000 → 4000; Notes: none → =1+1"


@pytest.mark.parametrize("begin", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(app: Flask, bobs: FlaskClient, begin: str) -> None:
    with app.app_context(), transaction():
        events.record(None, "invitation", "create", 1, f'{begin}HYPERLINK("x")', after={"role": f"{begin}1"})
    rows = list(csv.reader(StringIO(bobs.get("/audit.csv?kind=invitation").text, newline="")))
    assert [row[4] for row in rows[1:]] == [f'\'{begin}HYPERLINK("x")']
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]


def test_the_file_is_read_piece_by_piece(app: Flask, monkeypatch: pytest.MonkeyPatch, host_id: int) -> None:
    with app.app_context():
        with transaction():
            for number in range(audit.AT_ONCE + 3):
                events.record(None, "proxy_host", "refuse", host_id, f"h{number}.example.com")
        pieces = list(audit.read_all(audit.Wanted(verb="proxy_host:refuse")))
        assert [len(piece) for piece in pieces] == [audit.AT_ONCE, 3]
        numbers = [entry.event.id for piece in pieces for entry in piece]
    assert numbers == sorted(set(numbers), reverse=True)


def test_an_earlier_version_of_a_host_is_restored_from_its_page(
    app: Flask, bobs: FlaskClient, agent: Agent, host_id: int
) -> None:
    edit(bobs, agent, host_id, forward_port="4000", then="apply")
    shown = page_of(bobs, f"/hosts/{host_id}")
    history = shown.select_one("ul.hist")
    assert history is not None
    assert [text_of(item.select("div")[0])[:21] for item in history.select("li")] == [
        "bob changed this host",
        "The panel created thi",
    ]
    restore = history.select_one("form[action*='/versions/']")
    assert restore is not None
    assert bobs.post(str(restore["action"])).location == f"/hosts/{host_id}"
    assert host(app, host_id).forward_port == 3000
    shown = page_of(bobs, f"/hosts/{host_id}")
    assert "restored. It is being applied now." in shown.select("[data-toast]")[0].text
    assert "brought an earlier version of this host back" in shown.select("ul.hist li")[0].text


def test_a_version_that_cannot_come_back_says_why(app: Flask, bobs: FlaskClient, agent: Agent, host_id: int) -> None:
    certificate_id = add_certificate(app, agent)
    with app.app_context(), transaction():
        certificates.link(proxy_hosts.get(host_id), certificates.get(certificate_id), None)
    version = newest(app, host_id)
    with app.app_context(), transaction():
        certificates.forget(db.session.get_one(Certificate, certificate_id))
    bobs.post(f"/hosts/{host_id}/versions/{version}")
    shown = page_of(bobs, f"/hosts/{host_id}")
    assert "This certificate was deleted meanwhile" in shown.select("[data-toast]")[0].text
    assert "certificate 1, deleted since" in shown.select("ul.hist")[0].text
    assert bobs.post(f"/hosts/{add_host(app, agent, 'b.example.com')}/versions/{version}").status_code == 404


def test_a_certificates_page_has_its_history(app: Flask, bobs: FlaskClient, agent: Agent) -> None:
    certificate_id = add_certificate(app, agent)
    bobs.post(f"/certificates/{certificate_id}/pause")
    entry = page_of(bobs, f"/certificates/{certificate_id}").select_one("ul.hist li")
    assert entry is not None
    assert "bob paused the renewal of this certificate" in text_of(entry)
    undo_form = entry.select_one("form")
    assert undo_form is not None
    bobs.post(str(undo_form["action"]))
    with app.app_context():
        assert not certificates.get(certificate_id).is_paused


def test_a_changed_secret_is_told_as_changed_and_nothing_more(
    app: Flask, bobs: FlaskClient, agent: Agent, alice: User
) -> None:
    credential_id = add_credential(app, agent)
    with app.app_context(), transaction():
        credential = dns_credentials.get(credential_id)
        spec = CredentialSpec(credential.name, "cloudflare", {"token": "an0ther-token", "name": "store"})
        dns_credentials.update(credential, spec, db.session.get_one(User, alice.id))
    row = page_of(bobs, "/audit?kind=dns_credential").select("tbody tr")[0]
    assert "before: set after: changed" in text_of(row)
    assert "before: shop after: store" in text_of(row)
    assert "t0ken" not in row.text


def test_hostile_words_stay_words(app: Flask, bobs: FlaskClient) -> None:
    with app.app_context(), context.coming_from(HOSTILE), transaction():
        events.record(None, "agent", HOSTILE[:20], "x", HOSTILE, after={HOSTILE: HOSTILE, "list": [HOSTILE, {"a": 1}]})
    text = bobs.get("/audit").text
    assert "<img" not in text
    assert "&lt;img" in text


def test_wrong_passwords_are_told_of_people_who_exist_only(
    app: Flask, client: FlaskClient, bob: User, alice: User
) -> None:
    client.post("/login", data={"username": "bob", "password": "wrong"})
    client.post("/login", data={"username": "my-password-by-mistake", "password": "wrong"})
    login(client, alice)
    text = client.get("/audit").text
    assert "tried a wrong password for" in text
    assert "by-mistake" not in text


def test_everything_that_can_be_undone_has_words(config: Config) -> None:
    assert set(undo_ways.WAYS) <= set(words.VERBS)
    assert set(words.VERBS) >= undo_ways.NEUTRAL
    assert all(words.action(verb) for verb in words.VERBS)


def test_nothing_is_said_twice(app: Flask, bobs: FlaskClient) -> None:
    with app.app_context():
        assert db.session.scalar(select(Event.id).where(Event.verb == "user:logout")) is None
    bobs.post("/logout")
    with app.app_context():
        assert len(db.session.scalars(select(Event).where(Event.verb == "user:logout")).all()) == 1
