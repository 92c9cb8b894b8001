"""Tags of hosts: their grammar, and which ones there are.
May import: panel.models, panel.extensions, panel.nginx.text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from sqlalchemy import func, select

from panel.extensions import db
from panel.i18n import gettext as _
from panel.models import HostTag, ProxyHost
from panel.nginx.text import quote

MAX_TAGS = 10  # of one host
MAX_LENGTH = 24  # characters
_MARKS = frozenset("-_.")


def parse(words: Iterable[str]) -> tuple[str, ...]:
    """The words as tags: lower case, each once, sorted. Raises ValueError(sentence)."""
    found = sorted({parse_one(word) for word in words})
    if len(found) > MAX_TAGS:
        raise ValueError(
            _(
                "A host takes at most %(max_tags)s tags; these are %(len)s. Remove some.",
                max_tags=MAX_TAGS,
                len=len(found),
            )
        )
    return tuple(found)


def parse_one(word: str) -> str:
    """One word as a tag: letters and digits of any script, and - _ . between them. Raises ValueError(sentence)."""
    tag = unicodedata.normalize("NFC", word.strip().lower())
    if not tag:
        raise ValueError(_("Type a word, such as production."))
    if len(tag) > MAX_LENGTH:
        raise ValueError(
            _(
                "%(quote)s has %(len)s characters; a tag takes at most %(max_length)s.",
                quote=quote(tag),
                len=len(tag),
                max_length=MAX_LENGTH,
            )
        )
    wrong = next((c for c in tag if not (c.isalnum() or c in _MARKS)), None)
    if wrong is not None:
        raise ValueError(_("%(quote)s is not one word. Use letters, digits and hyphens only.", quote=quote(tag)))
    if not tag[0].isalnum():
        raise ValueError(_("%(quote)s must begin with a letter or a digit.", quote=quote(tag)))
    return tag


def split(text: str) -> list[str]:
    """The words of a text field; spaces, commas and line ends separate them."""
    return text.replace(",", " ").replace(";", " ").split()


def all_names() -> dict[str, int]:
    """Every tag by name, with the number of hosts that have it; deleted hosts do not count."""
    query = (
        select(HostTag.name, func.count().label("hosts"))
        .join(ProxyHost, ProxyHost.id == HostTag.proxy_host_id)
        .where(ProxyHost.deleted_at.is_(None))
        .group_by(HostTag.name)
        .order_by(HostTag.name)
    )
    return {row.name: int(row.hosts) for row in db.session.execute(query)}
