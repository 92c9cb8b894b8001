"""International labels: whether punycode is real, and whether its letters could pass for another name's.
May import: idna and the standard library."""

from __future__ import annotations

import unicodedata

import idna

# Scripts that are written together in one word.
_TOGETHER = (
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA"},
    {"LATIN", "CJK", "BOPOMOFO"},
    {"LATIN", "CJK", "HANGUL"},
)


def is_genuine(label: str) -> bool:
    """Whether a label with hyphens at its third and fourth place is an A-label (RFC 5890 section 2.3.2.1)."""
    try:
        return label.startswith("xn--") and idna.alabel(idna.ulabel(label)) == label.encode()
    except idna.IDNAError:
        return False


def describe_mixture(name: str) -> str:
    """A sentence about the first label that mixes scripts which nobody writes together; empty when none does."""
    for label in name.split("."):
        if label.startswith("xn--"):
            text = idna.ulabel(label)
            scripts = {_script(letter) for letter in text if letter.isalpha()}
            if len(scripts) > 1 and not any(scripts <= family for family in _TOGETHER):
                return f"{label} mixes letters of different scripts ({' and '.join(sorted(map(str.title, scripts)))})."
    return ""


def _script(letter: str) -> str:
    """The script by the character's Unicode name: the standard library has no better table."""
    return unicodedata.name(letter, "UNKNOWN").replace("-", " ").split(" ")[0]
