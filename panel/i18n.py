"""The words of the interface in the language of whoever looks; English wherever nobody does.
May import: Flask, Flask-Babel, markupsafe."""

from __future__ import annotations

from pathlib import Path

import flask_babel
from flask import Flask, has_request_context, request
from markupsafe import escape

# By code, as each language calls itself. The catalogs lie in panel/translations; docs/patterns.md, "Words".
LANGUAGES = {"en": "English", "de": "Deutsch"}
COOKIE = "language"
CATALOGS = Path(__file__).resolve().parent / "translations"


def register(app: Flask) -> None:
    """Gives templates `_`, `ngettext` and `{% trans %}`."""
    flask_babel.Babel(app, locale_selector=language, default_translation_directories=str(CATALOGS))
    app.jinja_env.policies["ext.i18n.trimmed"] = True


def language() -> str:
    """The code of the language for this request: what this browser chose, else the best that it asks for."""
    if not has_request_context():
        return "en"
    chosen = request.cookies.get(COOKIE, "")
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match([*LANGUAGES]) or "en"


def gettext(text: str, /, **values: object) -> str:
    """The sentence in the reader's language, with `values` in its %(name)s places. What is stored stays English:
    outside of a request nobody reads."""
    return str(flask_babel.gettext(text, **values))


def ngettext(one: str, many: str, num: int, /, **values: object) -> str:
    """One of two sentences by a number, which is %(num)s in them."""
    return str(flask_babel.ngettext(one, many, num, **values))


def translated(text: str) -> str:
    """What was stored in English, in the reader's language when it is one of the marked sentences."""
    return gettext(text) if text else ""


def mark(text: str) -> str:
    """Says that a sentence is to be translated where it is shown; here it stays as it is."""
    return text


def _counted(one: str, many: str) -> tuple[str, str]:
    """Marks both for translation."""
    return one, many


# What is counted on pages, by the word that callers use.
COUNTED = {
    "alias": _counted("%(count)s alias", "%(count)s aliases"),
    "DNS credential": _counted("%(count)s DNS credential", "%(count)s DNS credentials"),
    "agent": _counted("%(count)s agent", "%(count)s agents"),
    "answer": _counted("%(count)s answer", "%(count)s answers"),
    "authority": _counted("%(count)s authority", "%(count)s authorities"),
    "certificate": _counted("%(count)s certificate", "%(count)s certificates"),
    "change": _counted("%(count)s change", "%(count)s changes"),
    "channel": _counted("%(count)s channel", "%(count)s channels"),
    "container": _counted("%(count)s container", "%(count)s containers"),
    "day": _counted("%(count)s day", "%(count)s days"),
    "doubt": _counted("%(count)s doubt", "%(count)s doubts"),
    "file": _counted("%(count)s file", "%(count)s files"),
    "host": _counted("%(count)s host", "%(count)s hosts"),
    "hour": _counted("%(count)s hour", "%(count)s hours"),
    "matching host": _counted("%(count)s matching host", "%(count)s matching hosts"),
    "more day": _counted("%(count)s more day", "%(count)s more days"),
    "more provider": _counted("%(count)s more provider", "%(count)s more providers"),
    "name": _counted("%(count)s name", "%(count)s names"),
    "network": _counted("%(count)s network", "%(count)s networks"),
    "nginx module": _counted("%(count)s nginx module", "%(count)s nginx modules"),
    "offer": _counted("%(count)s offer", "%(count)s offers"),
    "provider": _counted("%(count)s provider", "%(count)s providers"),
    "result": _counted("%(count)s result", "%(count)s results"),
    "recovery code": _counted("%(count)s recovery code", "%(count)s recovery codes"),
}


def plural(number: int, noun: str) -> str:
    """As in "1 host" and "3 hosts". `noun` is one of COUNTED."""
    one, many = COUNTED[noun]
    return ngettext(one, many, number, count=flask_babel.format_decimal(number))


def midst(words: str) -> str:
    """Words that begin no sentence. English makes their first letter small; German nouns keep their capital."""
    return str(words) if language() == "de" else words[:1].lower() + words[1:]


def at_start(words: str) -> str:
    """Words that begin a sentence; nothing but their first letter changes."""
    text = str(words)
    return text[:1].upper() + text[1:]


class Lazy(str):
    """Words that a module holds: a str in English, and in the reader's language wherever they become part of a page."""

    __slots__ = ()

    def __str__(self) -> str:
        return gettext(self.english)

    def __html__(self) -> str:
        return str(escape(str(self)))

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __add__(self, other: str) -> str:
        return str(self) + other

    def __radd__(self, other: str) -> str:
        return other + str(self)

    def format(self, *args: object, **values: object) -> str:
        """As of any str."""
        return str(self).format(*args, **values)

    def partition(self, sep: str, /) -> tuple[str, str, str]:
        """As of any str."""
        return str(self).partition(sep)

    def capitalize(self) -> str:
        """As of any str."""
        return str(self).capitalize()

    def lower(self) -> str:
        """As of any str, for words in the midst of a sentence."""
        return str(self).lower()

    @property
    def english(self) -> str:
        """The words as they stand in the code."""
        return str.__str__(self)


def lazy_gettext(text: str) -> str:
    """For words that a module holds: looked up when they are shown."""
    return Lazy(text)
