"""Names as they are searched for: typed in the letters that people read, stored in punycode.
May import: panel.extensions, idna."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from unicodedata import normalize

import idna
from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import InstrumentedAttribute

from panel.extensions import db

_MARK = "xn--"  # before each label that is punycode


def typed(query: str) -> str:
    """What was typed, as names are compared: "Müll " becomes "müll", however the ü was put together."""
    return normalize("NFC", query.strip()).lower()


def to_punycode(text: str) -> str:
    """The text as names are stored, as far as it can be one."""
    try:
        return text if text.isascii() else idna.encode(text, uts46=True).decode("ascii")
    except idna.IDNAError:
        return text


def read(name: str) -> str:
    """A stored name in its letters, also those that a page would rather not show."""
    return name if _MARK not in name else ".".join(map(_letters, name.split(".")))


def has_letters(words: str) -> bool:
    """Whether a part of a name may be typed that is nowhere in what is stored: "müll" of "xn--mller-kva", or what
    lies on both sides of a dot. Other words stand in punycode as they are."""
    return not words.isascii() or "." in words


def find(column: InstrumentedAttribute[str], words: str) -> list[str]:
    """The stored names of a column that hold the words as they are read, and not as they are stored."""
    if not has_letters(words):
        return []
    names = db.session.scalars(select(column).where(column.contains(_MARK)).distinct())
    return [name for name in names if words in read(name)]


def fits(column: InstrumentedAttribute[str], query: str) -> ColumnElement[bool]:
    """Names that hold what was typed, as they are read or as they are stored."""
    words = typed(query)
    spellings: list[Any] = [column.icontains(word, autoescape=True) for word in {words, to_punycode(words)}]
    return or_(*spellings, column.in_(find(column, words)))


@lru_cache(maxsize=4096)
def _letters(label: str) -> str:
    try:
        return idna.ulabel(label) if label.startswith(_MARK) else label
    except idna.IDNAError:
        return label
