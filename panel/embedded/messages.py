"""Keeps panel/translations in step with the words in code and templates: `make messages` writes, `make check` compares.
May import: Babel, panel.i18n."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from panel.i18n import CATALOGS, LANGUAGES

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {"panel": [("**.py", "python")], "templates": [("**.html", "jinja2")]}
OPTIONS = {"**.html": {"trimmed": "true", "silent": "false"}}
# Headers that name nobody, or change when no word does.
NO_DATE = datetime(2000, 1, 1, tzinfo=UTC)  # the files change when words do, not with the clock
LEFT_OUT = tuple(
    f'"{name}'.encode()
    for name in ("POT-Creation", "PO-Revision", "Report-Msgid", "Last-Translator", "Language-Team", "Generated-By")
)
KEYWORDS = {"_": None, "gettext": None, "lazy_gettext": None, "mark": None, "ngettext": (1, 2), "_counted": (1, 2)}


def extract() -> Catalog:
    """Every sentence that is marked, with the files that use it."""
    catalog = Catalog(project="waypost", charset="utf-8")
    for folder, methods in SOURCES.items():
        found = extract_from_dir(ROOT / folder, methods, OPTIONS, KEYWORDS, strip_comment_tags=True)
        for file, _line, message, comments, context in found:
            catalog.add(message, locations=[(f"{folder}/{file}", 0)], auto_comments=comments, context=context)
    return catalog


def updated(code: str, words: Catalog) -> Catalog:
    """The catalog of a language with every marked sentence and no other; new ones are empty."""
    path = po_path(code)
    with path.open("rb") as file:
        catalog = read_po(file, locale=code)
    catalog.update(words, no_fuzzy_matching=True, update_creation_date=False)
    catalog.obsolete.clear()
    catalog.creation_date = catalog.revision_date = NO_DATE
    return catalog


def po_path(code: str) -> Path:
    """Where a language's sentences are."""
    return CATALOGS / code / "LC_MESSAGES" / "messages.po"


def as_po(catalog: Catalog) -> bytes:
    """The file that people edit: sorted, without line numbers and dates, so that it changes when words do."""
    buffer = io.BytesIO()
    write_po(buffer, catalog, sort_output=True, omit_header=False, include_lineno=False, width=120)
    lines = buffer.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(LEFT_OUT))


def as_mo(catalog: Catalog) -> bytes:
    """The file that programs read."""
    buffer = io.BytesIO()
    write_mo(buffer, catalog)
    return buffer.getvalue()


def problems(catalog: Catalog) -> list[str]:
    """What a reader of this language would get in English, or wrong."""
    found: list[str] = []
    for message in catalog:
        if message.id and not _is_complete(message):
            found.append(f"not translated: {message.id!r}")
        elif message.id:
            found += [f"{error}: {message.id!r}" for error in message.check(catalog)]
    return found


def _is_complete(message: Message) -> bool:
    words = (message.string,) if isinstance(message.string, str) else message.string or ("",)
    return all(words)


def main(mode: str) -> int:
    """`write` updates the catalogs, `check` says what is not in step; the exit code."""
    words, complaints = extract(), []
    for code in LANGUAGES:
        if code == "en":
            continue
        catalog, path = updated(code, words), po_path(code)
        files = {path: as_po(catalog), path.with_suffix(".mo"): as_mo(catalog)}
        for file, content in files.items():
            if mode == "write":
                file.write_bytes(content)
            elif not file.exists() or file.read_bytes() != content:
                complaints.append(f"{file.relative_to(ROOT)} is not current: run make messages")
        complaints += [f"{code}: {problem}" for problem in problems(catalog)]
    for complaint in complaints:
        sys.stderr.write(complaint + "\n")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
