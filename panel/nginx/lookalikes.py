"""International labels: when unicode may be shown, and when only punycode is honest.
May import: idna and the standard library."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

import idna

# Scripts that are written together in one word; any other mixture is shown as punycode.
_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
# Letters of other scripts that look like Latin ones: a label of nothing else passes for a Latin name.
_LATIN_LOOKALIKES = frozenset("асԁеһіјӏорԛѕԝхуъьҽпгѵѡюмтвнкαικνρτυωηογερχɑɡıŀ")


@lru_cache(maxsize=4096)
def display_label(label: str) -> str:
    """One label of a stored name as people read it. Labels that are not punycode come back unchanged."""
    if not label.startswith("xn--"):
        return label
    try:
        text = idna.ulabel(label)
    except idna.IDNAError:
        return label
    return text if _is_honest(text) else label


def _is_honest(text: str) -> bool:
    scripts = {_script(c) for c in text if c.isalpha()}
    letters = {c for c in text if c.isalpha()}
    if scripts != {"LATIN"} and letters <= _LATIN_LOOKALIKES:
        return False
    return len(scripts) <= 1 or any(scripts <= family for family in _TOGETHER)


def _script(letter: str) -> str:
    """The script by the character's Unicode name: the standard library has no better table."""
    return unicodedata.name(letter, "UNKNOWN").replace("-", " ").split(" ")[0]
