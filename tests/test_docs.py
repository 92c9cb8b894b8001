"""What the documentation names is there: settings with their defaults, files, modules, targets of make, pictures."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from agent import failpoints as agent_failpoints
from agent.acme.causes import CAUSES
from agent.config import AgentConfig
from panel import failpoints as panel_failpoints
from panel import metrics
from panel.config import Config
from tests.agent.acme.promises import BEHAVIOURS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
FOR_USERS = ("README.md", "CHANGELOG.md", "operations.md", "certificates.md")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
CONFIGS = {"panel/config.py": Config.from_env, "agent/config.py": AgentConfig.from_env}
VARIABLE = re.compile(r"\b(?:PANEL|AGENT|LETSENCRYPT)_[A-Z]+(?:_[A-Z]+)*\b")
TEST = re.compile(r"^ *def (test_\w+)", re.MULTILINE)
# Set for tests, by name: docs/faults.md has them.
FOR_TESTS = {"PANEL_FAILPOINT", "AGENT_FAILPOINT"}
# Files that read variables of their own or give them to both programs.
ELSEWHERE = ("Makefile", "compose.yaml", "Dockerfile")
FOLDERS = ("agent", "benchmarks", "docs", "migrations", "panel", "protos", "static", "templates", "tests")


def fields(path: str) -> dict[str, str]:
    """The field of the settings that each variable fills."""
    tree = ast.parse((ROOT / path).read_text())
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "cls"]
    return {name: str(one.arg) for call in made for one in call.keywords for name in variables(one.value)}


def variables(node: ast.AST) -> list[str]:
    texts = [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]
    return [text for text in texts if VARIABLE.fullmatch(text)]


def defaults() -> dict[str, str]:
    """The default that the tables give for each variable, as it is written there."""
    found: dict[str, str] = {}
    for names, default in re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \| ([^|]*) \|", OPERATIONS, re.MULTILINE):
        values = re.findall(r"`([^`]*)`", default)
        for number, name in enumerate(re.findall(r"`([A-Z_]+)`", names)):
            found.setdefault(name, values[min(number, len(values) - 1)] if values else "")
    return found


def plain(value: object) -> str:
    """A default as people write it."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


@pytest.mark.parametrize("path", CONFIGS)
def test_every_setting_is_in_the_documentation(path: str) -> None:
    known = set(variables(ast.parse((ROOT / path).read_text()))) - FOR_TESTS
    assert len(known) > 10
    assert known - set(VARIABLE.findall(OPERATIONS)) == set()


def test_every_variable_of_the_documentation_is_read_somewhere() -> None:
    code = "\n".join((ROOT / path).read_text() for path in (*CONFIGS, *ELSEWHERE))
    known = set(VARIABLE.findall(code))
    known |= {f"{name}_FILE" for name in known}
    assert {name for page in PAGES for name in VARIABLE.findall(page.read_text())} - known == set()


@pytest.mark.parametrize("path", CONFIGS)
def test_the_defaults_of_the_documentation_are_those_of_the_code(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, written = CONFIGS[path]({}), defaults()
    wrong = {}
    for name, field in fields(path).items():
        value = plain(getattr(settings, field)).removeprefix(f"{tmp_path}/")
        if written.get(name) and value not in {"", written[name]}:
            wrong[name] = f"{written[name]} is written, {value} is so"
    assert wrong == {}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", page.read_text())
    assert [one for one in targets if "://" not in one and not (page.parent / one).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(rf"`((?:{'|'.join(FOLDERS)})/[^`\s]*)`", page.read_text())
    paths = [re.sub(r"<[a-z]+>", "*", one).rstrip("/") for one in named]
    assert [one for one in paths if not list(ROOT.glob(one))] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_are_named_exist(page: Path) -> None:
    files = list((ROOT / "tests").rglob("*.py"))
    known = {path.stem for path in files} | {name for path in files for name in TEST.findall(path.read_text())}
    assert set(re.findall(r"`(test_\w+)(?:\.py)?`", page.read_text())) - known == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`((?:panel|agent)(?:\.\w+)+)`", page.read_text())
    assert [name for name in named if not is_there(name)] == []


def is_there(name: str) -> bool:
    """Whether it is a module, or a name that a module's text has."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        file = place.with_suffix(".py") if place.with_suffix(".py").exists() else place / "__init__.py"
        if file.exists():
            return all(part in file.read_text() for part in parts[length:])
    return False


def test_targets_of_make_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {one for page in PAGES for one in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert "run" in named
    assert named - targets == set()


def test_commands_of_the_terminal_that_are_named_exist() -> None:
    known = set(re.findall(r'\.command\("([a-z-]+)"\)', (ROOT / "panel" / "cli.py").read_text()))
    called = re.compile(r"flask (?:--app wsgi )?(?:admin|agent|demo) ([a-z-]+)")
    named = {name for page in PAGES for name in called.findall(page.read_text())}
    assert "seed" in named
    assert named - known == set()


def test_every_failpoint_of_the_panel_is_in_the_documentation() -> None:
    text = (ROOT / "docs" / "faults.md").read_text()
    assert [name for name in panel_failpoints.NAMES if f"`{name}`" not in text] == []
    plain_names = [name for name in agent_failpoints.NAMES if ":" not in name]
    assert plain_names
    assert [name for name in plain_names if f"`{name}`" not in text] == []


def test_metrics_that_are_named_exist() -> None:
    known = {name for metric in metrics.registry.collect() for name in (metric.name, f"{metric.name}_total")}
    named = set(re.findall(r"`(waypost_\w+)", OPERATIONS))
    assert len(named) > 10
    assert named - known == set()


def test_numbers_that_are_told_are_right() -> None:
    changes, faults = ((ROOT / name).read_text().split() for name in ("CHANGELOG.md", "docs/faults.md"))
    assert f"which of {len(CAUSES)} causes" in " ".join(changes)
    assert f"the {len(BEHAVIOURS)} behaviours of an ACME client" in " ".join(faults)


@pytest.mark.parametrize("program", ["panel", "agent"])
def test_every_room_is_in_the_plan(program: str) -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    plan = re.search(rf"^{program}/\n((?:  .*\n)+)", text, re.MULTILINE)
    assert plan is not None
    rooms = {f"{one.name}/" for one in (ROOT / program).iterdir() if (one / "__init__.py").exists()}
    rooms |= {one.name for one in (ROOT / program).glob("*.py")} - {"__init__.py"}
    assert rooms - set(re.findall(r"(?<!\S)\w+(?:\.py|/)(?!\S)", plan[1])) == set()
    assert set(re.findall(r"^  (\w+(?:\.py|/))", plan[1], re.MULTILINE)) - rooms == set()


@pytest.mark.parametrize("page", [page for page in PAGES if page.name in FOR_USERS], ids=lambda page: page.name)
def test_words_of_the_interface_that_are_quoted_exist(page: Path) -> None:
    sources = [path for folder in ("templates", "panel") for path in (ROOT / folder).rglob("*")]
    words = "\n".join(path.read_text() for path in sources if path.suffix in {".html", ".py"})
    text = " ".join(re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.DOTALL).split())
    assert [quoted for quoted in re.findall(r'"([A-Z][^"]{2,40})"', text) if quoted.rstrip(".,") not in words] == []


def test_services_on_the_map_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    part = text.partition("## The services\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"`(\w+)`", part))
    known = {path.stem for path in (ROOT / "panel" / "services").glob("*.py")}
    assert len(named) > 60
    assert named - known == set()
