"""The language of the interface: chosen, asked for by the browser, or English."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from flask import Flask
from flask.testing import FlaskClient

from panel.embedded.messages import po_path
from panel.i18n import COOKIE, at_start, gettext, lazy_gettext, midst, translated
from panel.services.troubles import sentence
from panel.web.script_words import WORDS

ROOT = Path(__file__).resolve().parents[3]
STATIC = ROOT / "static"
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()


@pytest.mark.parametrize(
    ("chosen", "asked", "expected"),
    [
        ("", "", "en"),
        ("", "de-AT,de;q=0.9,en;q=0.5", "de"),
        ("", "fr-FR,fr;q=0.9", "en"),
        ("", "fr-FR,fr;q=0.9,de;q=0.5,en;q=0.3", "de"),
        ("en", "de", "en"),
        ("de", "en-GB", "de"),
        ("../../etc", "de", "de"),
    ],
)
def test_a_page_speaks_the_language_of_its_reader(client: FlaskClient, chosen: str, asked: str, expected: str) -> None:
    if chosen:
        client.set_cookie(COOKIE, chosen)
    page = client.get("/login", headers={"Accept-Language": asked} if asked else {}).text
    assert f'<html lang="{expected}"' in page
    assert ("<h1>Anmelden</h1>" in page) == (expected == "de")


def test_a_language_is_chosen_by_a_button_and_kept(client: FlaskClient) -> None:
    answer = client.post("/language", data={"language": "de"}, headers={"Referer": "http://localhost/login"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
    assert '<html lang="de"' in client.get("/login").text
    client.post("/language", data={"language": "tlh"})
    assert '<html lang="de"' in client.get("/login").text


def test_what_nobody_reads_now_is_said_in_english(app: Flask) -> None:
    with app.app_context():
        assert gettext("Log in") == "Log in"
    with app.test_request_context(headers={"Accept-Language": "de"}):
        assert gettext("Log in") == "Anmelden"


def test_german_has_one_word_for_each_thing() -> None:
    table = GLOSSARY.partition("## In German")[2]
    rows = re.findall(r"^\| (?!Word|---)[^|]+\|[^|]+\| ([^|]+) \|$", table, re.MULTILINE)
    wrong = re.compile("|".join(rf"\b{word}" for row in rows for word in row.split(", ")), re.IGNORECASE)
    with po_path("de").open("rb") as file:
        found = [message.string for message in read_po(file) if message.id]
    said = [text for one in found for text in (one if isinstance(one, tuple | list) else [str(one)])]
    assert len(rows) > 10
    assert [sentence for sentence in said if wrong.search(sentence)] == []


def test_german_nouns_keep_their_capitals(app: Flask) -> None:
    closed = lazy_gettext("Port closed")
    with app.test_request_context():
        assert (midst(closed), at_start("none yet")) == ("port closed", "None yet")
    with app.test_request_context(headers={"Accept-Language": "de"}):
        assert (midst(closed), at_start("9 Tage"), at_start("noch 9 Tage")) == (
            "Port geschlossen",
            "9 Tage",
            "Noch 9 Tage",
        )


def test_what_was_stored_in_english_is_read_in_german_where_it_is_known(app: Flask) -> None:
    with app.test_request_context(headers={"Accept-Language": "de"}):
        assert translated("Cancelled before it was sent.").startswith("Abgebrochen")
        assert translated("bind() failed: 98") == "bind() failed: 98"
        assert translated("") == ""
        assert sentence(lazy_gettext("Nothing can be saved"), "") == "Es lässt sich nichts speichern."


def test_every_word_that_a_script_says_is_known() -> None:
    said = {word for file in STATIC.glob("*.js") for word in re.findall(r"\bt\(\s*'([^']+)'", file.read_text())}
    said |= set(re.findall(r"'(\{\} [a-z]+)'", (STATIC / "app.js").read_text()))
    assert said <= set(WORDS)
    assert len(said) > 10
