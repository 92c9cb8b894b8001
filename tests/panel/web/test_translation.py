"""No page in German holds words that were left in English."""

from __future__ import annotations

import re
from typing import Any

import pytest
from babel.messages.pofile import read_po
from bs4 import BeautifulSoup, Comment, Tag
from flask import Flask
from flask.testing import FlaskClient

from panel.embedded.messages import po_path
from panel.models import User
from tests.conftest import login
from tests.panel.web.test_roles import calls, people, values

__all__ = ["people", "values"]

ATTRIBUTES = ("aria-label", "placeholder", "title", "alt", "data-confirm")
DATA = re.compile(
    r" · Waypost$|[\d.:/@=_#]|^[a-z]+$|^\W*$"
)  # names, addresses, numbers, what stands for something else
# What agents, authorities and people of the fixtures are called, and what nginx writes.
OTHERS = {
    "API token",
    "Account (optional)",
    "Cloudflare",
    "Example CA",
    "Manual",
    "Zone of the shop",
    "a test",
    "server {",
}
SAME = OTHERS | {
    "Enter",
    "Esc",
    "HSTS",
    "alice, administrator",
    "Waypost",
    "nginx",
    "Docker",
    "HTTPS",
    "Deutsch",
    "English",
    "alice",
    "administrator",
}


def words(html: str) -> set[str]:
    """Everything that a person may read or hear of a page."""
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup(["script", "style", "template", "code", "pre", "svg"]):
        tag.decompose()
    texts = {str(text).strip() for text in soup.find_all(string=True) if not isinstance(text, Comment)}
    for tag in soup.find_all():
        if isinstance(tag, Tag):
            texts |= {str(tag[name]).strip() for name in ATTRIBUTES if tag.get(name)}
    return {re.sub(r"\s+", " ", text) for text in texts if re.search(r"[A-Za-z]{3}", text)}


@pytest.fixture
def alike() -> set[str]:
    """Words that are the same in both languages."""
    with po_path("de").open("rb") as file:
        return {str(message.id) for message in read_po(file) if message.id == message.string} | SAME


def test_a_page_in_german_has_no_english_words(
    app: Flask, client: FlaskClient, alice: User, values: dict[str, Any], alike: set[str]
) -> None:
    left: dict[str, set[str]] = {}
    for call in calls():
        if call.method != "GET" or call.path.startswith(("/static", "/metrics", "/healthz", "/logout", "/live")):
            continue
        login(client, alice)
        found = []
        for language in ("en", "de"):
            client.set_cookie("language", language)
            path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(values[match[1]]), call.path)
            response = client.get(path, follow_redirects=True)
            found.append(words(response.text) if response.mimetype == "text/html" else set())
            response.close()
        for text in found[0] & found[1]:
            if text not in alike and not DATA.search(text):
                left.setdefault(text, set()).add(call.path)
    assert sorted(left) == []
