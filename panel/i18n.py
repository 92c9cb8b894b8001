"""The words of the interface in the language of whoever looks; English wherever nobody does.
May import: Flask, Flask-Babel, Werkzeug."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import flask_babel
from flask import Flask, has_request_context, request

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


def mark(text: str) -> str:
    """Says that a sentence is to be translated where it is shown; here it stays as it is."""
    return text


def lazy_gettext(text: str) -> str:
    """For words that a module holds: looked up when they are shown. It acts as a str, and is none for json or bytes."""
    return cast("str", flask_babel.lazy_gettext(text))
