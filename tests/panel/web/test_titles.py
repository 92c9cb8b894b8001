"""Every page has a title of its own, a language, and says each moment so that a machine can read it too."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask.testing import FlaskClient

from panel.models import Agent, User
from tests.conftest import login
from tests.hosts import add_host

TEMPLATES = Path(__file__).parents[3] / "templates"
TITLE = re.compile(r"\{% block title %\}(.+?)\{% endblock %\}", re.DOTALL)
# A refusal says in its title what was refused, in the shell and without it.
TWINS = {"errors/bare.html", "errors/error.html"}
PAGES = [
    *(
        "/hosts",
        "/hosts/new",
        "/hosts/1",
        "/hosts/1/edit",
        "/certificates",
        "/certificates/new",
        "/certificates/upload",
    ),
    *("/agents", "/agents/new", "/networks", "/containers", "/jobs", "/changes", "/users", "/users/invite", "/account"),
    *("/settings/authorities", "/settings/dns", "/notifications"),
]


def titles() -> dict[str, str]:
    """The words of each template's title, with an ellipsis for what is filled in."""
    found = {}
    for path in sorted(TEMPLATES.rglob("*.html")):
        title = TITLE.search(path.read_text())
        if title is not None:
            quoted = re.sub(r"\{\{.*?\}\}", lambda part: words_in(part[0]), title[1], flags=re.DOTALL)
            found[str(path.relative_to(TEMPLATES))] = quoted
    return found


def words_in(expression: str) -> str:
    return " ".join(["…", *re.findall(r'"([^"]+)"', expression)])


def test_no_two_pages_have_the_same_title() -> None:
    found = {name: title for name, title in titles().items() if name not in TWINS}
    assert len(found) > 40
    assert [title for title, count in Counter(found.values()).items() if count > 1] == []


def test_a_host_and_its_edit_page_and_an_agent_of_the_same_name_differ(
    app: Flask, client: FlaskClient, alice: User, agent: Agent
) -> None:
    login(client, alice)
    add_host(app, agent, "local.example.com")
    seen: dict[str, str] = {}
    for address in [*PAGES, f"/agents/{agent.id}"]:
        response = client.get(address)
        if response.status_code == 404:
            continue
        tree = BeautifulSoup(response.text, "html.parser")
        assert tree.title is not None
        assert tree.title.text.endswith(" · Waypost")
        assert tree.select_one("html[lang=en]") is not None
        assert seen.setdefault(tree.title.text, address) == address
    assert len(seen) > 12


@pytest.mark.parametrize("path", sorted(TEMPLATES.rglob("*.html")), ids=lambda path: str(path.name))
def test_moments_are_told_by_time_elements(path: Path) -> None:
    bare = re.findall(r'(?<!title=")\{\{[^}]*\|utc[^}]*\}\}', re.sub(r'title="[^"]*"', "", path.read_text()))
    assert bare == []
