"""What is wrong with a piece of text, in plain words: controls, invisible characters, look-alike digits.
May import: the standard library only."""

from __future__ import annotations

import re
import unicodedata

from panel.i18n import gettext as _

URL_PATTERN = re.compile(r"\A[A-Za-z][A-Za-z0-9+.-]{0,20}:/{1,2}(?P<rest>.*)\Z")

_BAD_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"})
_SHOWN_LENGTH = 60


def quote(text: str) -> str:
    """`text` as a sentence may show it: in quotes, cut, with nothing invisible in it."""
    cut = text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]}…"
    return _("“%(text)s”", text="".join("�" if is_invisible(c) and c != " " else c for c in cut))


def is_invisible(character: str) -> bool:
    """Whether a person cannot see this character: controls, spaces of every kind, formatting, unassigned."""
    return unicodedata.category(character) in _BAD_CATEGORIES


def refuse_invisible(text: str) -> None:
    """Raises ValueError naming the first invisible character and where it stands."""
    for position, character in enumerate(text, start=1):
        if is_invisible(character):
            raise ValueError(
                _(
                    "Character %(position)s of %(quote)s is %(name)s. Remove it.",
                    position=position,
                    quote=quote(text),
                    name=_name(character),
                )
            )


def _name(character: str) -> str:
    code = ord(character)
    if character == " ":
        return _("a space")
    if character in "\r\n\v\f\x85\u2028\u2029":
        return _("a line break") + f" (U+{code:04X})"
    if character == "\t":
        return _("a tab")
    kind = _("a control character") if unicodedata.category(character) == "Cc" else _("an invisible character")
    return f"{kind} (U+{code:04X})"


def place(text: str, position: int) -> str:
    """Where a character stands, as people say it: "first", "last" or its number. `position` counts from 0."""
    if position == len(text) - 1:
        return _("The last character")
    return _("The first character") if position == 0 else _("Character %(number)s", number=position + 1)


def describe(character: str) -> str:
    """A visible character as a sentence names it; letters that pass for digits are called letters."""
    if character in "Oo":
        return _("the letter O: use the digit 0")
    if character in "IlL|":
        if character == "|":
            return _("a bar: use the digit 1")
        return _("the letter %(letter)s: use the digit 1", letter=character.upper())
    if character.isdigit() and not character.isascii():
        return _("“%(character)s”, not an ordinary digit: use 0 to 9", character=character)
    if character.isalpha():
        return _("the letter “%(character)s”: use digits only", character=character)
    return _("“%(character)s”: use digits only", character=character)


def bare_host(url: str) -> str:
    """The host part of a pasted address, or "" when there is none that a sentence could propose."""
    match = URL_PATTERN.match(url)
    rest = match["rest"] if match else url
    authority = re.split(r"[/?#\\]", rest.lstrip("/"), maxsplit=1)[0].rpartition("@")[2]
    host = re.match(r"\A(\[[0-9A-Fa-f:.]+\]|[^\[\]:]*)(?::\d*)?\Z", authority)
    return host[1] if host and all(c.isalnum() or c in ".-_*[]:" for c in host[1]) else ""
