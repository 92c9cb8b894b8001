"""The words of docs/glossary.md: one for each thing, in templates, scripts, every sentence of panel and agent, and in
the documentation."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from jinja2 import Environment, nodes

ROOT = Path(__file__).parent.parent
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()
# Names of things that are not ours, and quotations; they are taken out before the words are looked for.
RIGHT = re.compile(
    r"flask (--app wsgi )?admin|declare[sd] it invalid|the order became invalid|(their|its|the) website"
    r"|urn:ietf:params:acme:error:.*",
    re.IGNORECASE,
)
# Files whose strings are another language: nginx's, certbot's, SQL, patterns over what authorities say.
NOT_WORDS = {
    "agent/acme/certbot.py",
    "agent/acme/rules.py",
    "agent/nginx/wrapper.py",
    "agent/upstreams/exec.py",
    "agent/failpoints.py",
    "panel/failpoints.py",
}
# What somebody may search for who knows another word: this argument of the palette's commands.
OTHER_NAMES = {"Command": 3}
SHOWN = ("aria-label", "title", "placeholder", "alt", "data-confirm", "data-confirm-label", "label")
MARKED = {"_", "gettext", "lazy_gettext"}  # for translation
REFUSALS = {"Invalid", "Conflict", "Forbidden", "NotFound", "Throttled", "ValidationError"}
# How a next step begins, where a refusal is one sentence.
STEPS = re.compile(
    r"^(Use|Choose|Write|Enter|Give|Copy|Set|Log|Wait|Add)\b|, so |: |; |, and |Ask |, or |begins? with | one word"
)


def forbidden() -> list[str]:
    """The last column of the table, and the words that no sentence has."""
    rows = re.findall(r"^\| (?!Word|---)[^|]+\|[^|]+\| ([^|]+) \|$", GLOSSARY, re.MULTILINE)
    never = re.search(r"Never: ([^.]+)\.", GLOSSARY)
    assert never is not None
    lists = [*rows, never[1].replace("\n", " ")]
    return [word.strip() for words in lists for word in words.split(",")]


WORDS = forbidden()
_EACH = "|".join(re.escape(word) + "(?:s|es|ed)?" for word in WORDS)
FORBIDDEN = re.compile(rf"(?<![\w.@/-])({_EACH})(?![\w@/-]|\.\w)", re.IGNORECASE)


def sentences_of_template(path: Path) -> Iterator[str]:
    """What a page shows: text, the attributes that are read out, and the words that macros are called with."""
    source = path.read_text()
    environment = Environment(autoescape=True, extensions=["jinja2.ext.do", "jinja2.ext.i18n"])
    for constant in environment.parse(source).find_all(nodes.Const):
        if isinstance(constant.value, str) and " " in constant.value.strip():
            yield constant.value
    plain = re.sub(r"\{#.*?#\}|\{%.*?%\}", " ", source, flags=re.DOTALL)
    tree = BeautifulSoup(re.sub(r"\{\{.*?\}\}", "…", plain, flags=re.DOTALL), "html.parser")
    for element in tree.find_all(["script", "style", "code"]):
        element.decompose()
    yield tree.get_text(" ")
    for element in tree.find_all():
        yield from (str(element[name]) for name in SHOWN if element.get(name))


def sentences_of_code(path: Path) -> Iterator[tuple[int, str]]:
    """Every string with a space in it that is no docstring and goes into no log."""
    tree = ast.parse(path.read_text())
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node
        ):
            left_out.add(id(node.body[0].value))  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("_log.", "re.", "warnings.")):
            left_out.update(id(part) for part in ast.walk(node))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in OTHER_NAMES:
            left_out.update(id(part) for part in node.args[OTHER_NAMES[node.func.id] :][:1])
        if isinstance(node, ast.JoinedStr):
            left_out.update(id(part) for part in node.values)
    for node in ast.walk(tree):
        if id(node) in left_out or not isinstance(node, ast.Constant | ast.JoinedStr):
            continue
        words = text_of(node)
        if " " in words.strip():
            yield node.lineno, words


def text_of(node: ast.AST) -> str:
    """A literal's text, with an ellipsis for what is filled in; "" for anything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKED:
        return re.sub(r"%\(\w+\)s", "…", text_of(node.args[0])).replace("%%", "%")
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def code() -> list[Path]:
    return [path for root in ("panel", "agent") for path in sorted((ROOT / root).rglob("*.py"))]


def faults(words: str) -> list[str]:
    return [found[0] for found in FORBIDDEN.finditer(RIGHT.sub(" ", words))]


def test_the_glossary_forbids_what_it_names() -> None:
    assert len(WORDS) > 40
    for sentence in ("Open the site", "Two backends", "It was deployed.", "Something went wrong.", "Sign in"):
        assert faults(sentence), sentence
    for sentence in ("Open the host", "It applies.", "mail.deploy.example.com", "config.py", "/var/site/x", "offsite"):
        assert not faults(sentence), sentence


@pytest.mark.parametrize("path", sorted((ROOT / "templates").rglob("*.html")), ids=lambda path: str(path.name))
def test_no_page_uses_another_word(path: Path) -> None:
    wrong = [(fault, words.strip()[:90]) for words in sentences_of_template(path) for fault in faults(words)]
    assert wrong == []


def test_no_sentence_of_panel_and_agent_uses_another_word() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {fault}: {words[:90]}"
        for path in code()
        if str(path.relative_to(ROOT)) not in NOT_WORDS
        for line, words in sentences_of_code(path)
        for fault in faults(words)
    ]
    assert wrong == []


def test_no_script_uses_another_word() -> None:
    source = (ROOT / "static" / "app.js").read_text()
    wrong = [(fault, words) for words in re.findall(r"'([A-Z][^'\n]* [^'\n]*)'", source) for fault in faults(words)]
    assert wrong == []


def test_no_documentation_uses_another_word() -> None:
    wrong = []
    for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]:
        if path.name != "glossary.md":
            text = re.sub(r"```.*?```|`[^`]*`|\]\([^)]*\)", "", path.read_text(), flags=re.DOTALL)
            wrong += [f"{path.name}: {fault}: {line}" for line in text.splitlines() for fault in faults(line)]
    assert wrong == []


def refusals() -> Iterator[tuple[str, str]]:
    """Each sentence that refuses something, where it stands in the code as such."""
    for path in code():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in REFUSALS:
                continue
            for argument in node.args[-1:]:
                if words := text_of(argument):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", words


def test_every_refusal_ends_as_a_sentence_and_says_what_to_do() -> None:
    found = dict(refusals())
    assert len(found) > 150
    wrong = [f"{place}: {words}" for place, words in found.items() if not says_what_to_do(words)]
    assert wrong == []


def says_what_to_do(words: str) -> bool:
    """Two sentences, or one that is itself the next step or its reason. What is filled in may bring the full stop."""
    if not words.endswith((".", "…")) or "!" in words:
        return False
    return len(re.findall(r"[.…](?: |$)", words)) > 1 or bool(STEPS.search(words))
