"""The house's rules for templates and addresses, which no linter knows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from flask import Flask
from jinja2 import Environment, nodes

from agent import __version__ as agent_version
from panel import __version__ as panel_version
from panel.app import create_app
from panel.config import Config
from tests.routes import ROUTES

ROOT = Path(__file__).parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
NAMES = [str(path.relative_to(ROOT / "templates")) for path in TEMPLATES]
SOURCES = [*TEMPLATES, *sorted((ROOT / "panel" / "web").rglob("*.py"))]

# What a strict Content-Security-Policy would block or htmx would have to evaluate; and where to look instead.
FORBIDDEN = {
    r"\sstyle\s*=": "styles belong in static/panel.css",
    r"<style": "styles belong in static/panel.css",
    r"<script(?![^>]*\ssrc=)": "scripts belong in static/app.js",
    r"\son[a-z]+\s*=\s*[\"']": "behaviour belongs in static/app.js, found by a data- attribute",
    r"hx-on": "needs eval; use an event listener in static/app.js",
    r"[\"']\s*js(?:on)?:": "needs eval; use static JSON in hx-vals",
    r"javascript:": "needs eval; use a button and static/app.js",
    r"hx-trigger\s*=\s*[\"'][^\"']*\[": "filters need eval; use other events",
    r"\|\s*safe\b": "escape it, or build Markup where it is made",
    r"autoescape\s+false": "escape it, or build Markup where it is made",
    r"https?://(?!\{)": "nothing is fetched from other places",
}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """What templates are read by."""
    folder = tmp_path_factory.mktemp("house")
    url = f"sqlite:///{folder / 'panel.sqlite3'}"
    return create_app(Config(state_dir=folder, database_url=url, secret_key="0" * 40)).jinja_env


@pytest.mark.parametrize("name", NAMES)
def test_templates_need_no_exception_from_the_policy(name: str) -> None:
    text = (ROOT / "templates" / name).read_text()
    text = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
    found = [f"{pattern}: {cure}" for pattern, cure in FORBIDDEN.items() if re.search(pattern, text)]
    assert not found


@pytest.mark.parametrize("name", NAMES)
def test_templates_use_what_they_import(environment: Environment, name: str) -> None:
    text = (ROOT / "templates" / name).read_text()
    tree = environment.parse(text)
    names = [name for node in tree.find_all(nodes.FromImport) for name in node.names]
    imported = [name if isinstance(name, str) else name[1] for name in names]
    used = {node.name for node in tree.find_all(nodes.Name) if node.ctx == "load"}
    assert [macro for macro in imported if macro not in used] == []
    assert len(imported) == len(set(imported))


@pytest.mark.parametrize("name", NAMES)
def test_templates_compile(environment: Environment, name: str) -> None:
    environment.get_template(name)


@pytest.mark.parametrize("name", [name for name in NAMES if Path(name).name.startswith("_")])
def test_fragments_are_used(name: str) -> None:
    assert any(name in path.read_text() for path in SOURCES if path != ROOT / "templates" / name)


@pytest.mark.parametrize("name", [name for name in NAMES if not Path(name).name.startswith("_")])
def test_pages_layouts_and_components_are_used(name: str) -> None:
    assert any(name in path.read_text() for path in SOURCES if path != ROOT / "templates" / name)


def test_macros_are_used(app: Flask) -> None:
    trees = [app.jinja_env.parse(path.read_text()) for path in TEMPLATES]
    made = {macro.name for tree in trees for macro in tree.find_all(nodes.Macro)}
    calls = [call.node for tree in trees for call in tree.find_all(nodes.Call)]
    called = {node.name for node in calls if isinstance(node, nodes.Name)}
    assert made - called == {"page_url"}  # handed on by name


@pytest.mark.parametrize("name", NAMES)
def test_forms_that_post_carry_the_token(name: str) -> None:
    text = re.sub(r"\{#.*?#\}", "", (ROOT / "templates" / name).read_text(), flags=re.DOTALL)
    for form in re.findall(r"<form\b.*?</form>", text, re.DOTALL):
        if re.search(r"<form[^>]*method=\"post\"", form):
            assert "csrf" in form, form[:120]
            assert "action=" in form, form[:120]


@pytest.mark.parametrize("name", NAMES)
def test_icons_exist(name: str) -> None:
    known = set(re.findall(r'id="([^"]+)"', (ROOT / "static" / "icons.svg").read_text()))
    text = (ROOT / "templates" / name).read_text()
    used = set(re.findall(r"icon\(\"([a-z]+)\"", text)) | set(re.findall(r"icon=\"([a-z]+)\"", text))
    assert used <= known


def test_every_icon_is_used() -> None:
    known = re.findall(r'id="([^"]+)"', (ROOT / "static" / "icons.svg").read_text())
    texts = [path.read_text() for path in [*SOURCES, ROOT / "static" / "app.js", ROOT / "static" / "palette.js"]]
    assert [icon for icon in known if not any(re.search(rf"[\"'#]{icon}[\"']", text) for text in texts)] == []


def test_no_route_is_lost_or_gained_unseen(app: Flask) -> None:
    """Other tools and people's bookmarks use these addresses, and each has somebody who may use it."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        found.setdefault(rule.rule, set()).update({"GET", "POST", "PUT", "PATCH", "DELETE"} & set(rule.methods or ()))
    lines = [f"{path} {' '.join(sorted(methods))}" for path, methods in sorted(found.items())]
    assert lines == re.sub(r":[a-z]+(?=\s|$)", "", ROUTES.strip(), flags=re.MULTILINE).splitlines()


def test_scripts_never_write_html() -> None:
    for name in ("app.js", "palette.js", "tt.js"):
        text = (ROOT / "static" / name).read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in text


def test_own_script_and_styles_stay_in_their_budget() -> None:
    sizes = {
        name: len((ROOT / "static" / name).read_bytes()) for name in ("app.js", "palette.js", "tt.js", "panel.css")
    }
    assert sizes["app.js"] + sizes["palette.js"] + sizes["tt.js"] < 32_000
    assert sizes["panel.css"] < 48_000


def test_the_sprite_is_plain() -> None:
    sprite = BeautifulSoup((ROOT / "static" / "icons.svg").read_text(), "html.parser")
    assert not sprite.find_all(["script", "style", "image", "foreignobject"])


def test_panel_and_agent_are_of_one_version() -> None:
    assert panel_version == agent_version
