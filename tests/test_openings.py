"""How a module begins: one sentence or two on what lives there, and a line on what it may import, which is kept."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = [
    path
    for folder in ("panel", "agent")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path.name != "__init__.py" or path.stat().st_size > 0
]
NAME = re.compile(r"\b(?:panel|agent|protos)(?:\.(?:[\w*]+|\{[^}]*\}))*(?:\|\w+)*")
# What every module above it may use without saying so: settings, errors, words, the transaction, the journal.
GROUND = {
    "panel": ("config", "errors", "extensions", "failpoints", "i18n", "metrics", "models.types"),
    "agent": ("config", "database", "errors", "failpoints", "journal", "output", "watchdog"),
}


def layers(program: str) -> list[set[str]]:
    """The packages of a program from the top down, as setup.cfg has them."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    lines = config[f"importlinter:contract:{program}"]["layers"].split("\n")
    return [{f"{program}.{name.strip()}" for name in line.split("|")} for line in lines if line.strip()]


LAYERS = {program: layers(program) for program in GROUND}


def opening(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text())) or ""


def may_import(text: str) -> str:
    """The line that says so, without what may follow it."""
    found = re.search(r"^May import: (.*?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else ""


def said(line: str) -> set[str]:
    """Every package and module that the line names; with "and below" also the layers below all of them."""
    names = {name for text in NAME.findall(line) for name in expand(text)}
    packages = {".".join(name.split(".")[:2]) for name in names}
    if "and below" in line:
        for floors in LAYERS.values():
            named = [number for number, floor in enumerate(floors) if floor & packages]
            names |= set().union(*floors[max(named) + 1 :]) if named else set()
    return names


def expand(text: str) -> Iterator[str]:
    """`a.{b,c}` and `a.b|c` as the names that they stand for."""
    braces = re.search(r"\{([^{}]*)\}", text)
    if braces:
        for part in braces[1].split(","):
            yield from expand(text[: braces.start()] + part.strip() + text[braces.end() :])
        return
    first, *others = text.rstrip(".").split("|")
    yield first
    yield from (f"{first.rpartition('.')[0]}.{other}" for other in others)


def imported(path: Path) -> set[str]:
    """The modules of ours that it imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in {"panel", "agent", "protos"}:
            for name in node.names:
                place = ROOT.joinpath(*f"{node.module}.{name.name}".split("."))
                is_module = place.with_suffix(".py").exists() or (place / "__init__.py").exists()
                found.add(f"{node.module}.{name.name}" if is_module else str(node.module))
    return found - {"panel", "agent"}


def is_said(module: str, names: set[str]) -> bool:
    """Whether the module, or a package that it is in, is among them; a star stands for the rest of a word."""
    parts = module.split(".")
    above = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return any(re.fullmatch(name.replace(".", r"\.").replace("*", r"\w*"), one) for name in names for one in above)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_and_imports_what_it_says(path: Path) -> None:
    text = opening(path)
    line = may_import(text)
    assert not text.startswith("May import")
    assert line, "no line `May import: …`"
    program = path.relative_to(ROOT).parts[0]
    names = said(line) | {f"{program}.{name}" for name in GROUND[program]}
    assert {module for module in imported(path) if not is_said(module, names)} == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_module_may_import_exists(path: Path) -> None:
    names = {name for name in said(may_import(opening(path))) if "*" not in name}
    places = [ROOT.joinpath(*name.split(".")) for name in names]
    assert [place for place in places if not place.with_suffix(".py").exists() and not place.is_dir()] == []
