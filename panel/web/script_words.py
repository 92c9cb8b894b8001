"""The words that app.js says by itself, for readers of other languages.
May import: panel.i18n."""

from __future__ import annotations

import json

from panel.i18n import gettext, language, mark

WORDS = (
    mark("Add a name"),
    mark("Connection lost, retrying. What you see may be out of date."),
    mark("Copied"),
    mark("Copy"),
    mark("Dismiss"),
    mark("Press Ctrl C to copy the selected text."),
    mark("Remove {}"),
    mark("The panel does not answer. Nothing was changed."),
    mark("The panel does not answer. Try again."),
    mark("Yes"),
    mark("in {}"),
    mark("now"),
    mark("{} ago"),
    mark("{} day"),
    mark("{} days"),
    mark("{} h"),
    mark("{} min"),
    mark("{} s"),
    mark("{} selected"),
)


def script_words() -> str:
    """English to the reader's language, as JSON; "" for readers of English, whose words stand in the script."""
    if language() == "en":
        return ""
    return json.dumps({english: gettext(english) for english in WORDS}, ensure_ascii=False)
