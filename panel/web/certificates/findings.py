"""What an agent said of a certificate, as pages show it: findings of the check, why an attempt failed.
May import: the standard library. Everything here is hostile text: templates escape it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from panel.i18n import lazy_gettext

TONES = {"ok": "ok", "info": "off", "warning": "warn", "error": "bad"}
WORDS = {
    "ok": lazy_gettext("Good"),
    "info": lazy_gettext("For your information"),
    "warning": lazy_gettext("Needs your attention"),
    "error": lazy_gettext("Must be mended"),
}
_WEIGHT = {"error": 0, "warning": 1, "info": 2, "ok": 3}


@dataclass(frozen=True)
class Record:
    """A DNS record that a person copies."""

    name: str
    type: str
    value: str


@dataclass(frozen=True)
class Finding:
    """One answer of the check: `tone` gives the shape, `word` says the level to who does not see it."""

    level: str
    tone: str
    word: str
    subject: str
    sentence: str
    next_step: str
    record: Record | None


@dataclass(frozen=True)
class Trouble:
    """Why an attempt failed. `words` are the authority's own; `portal` is a page of it, only ever https."""

    sentence: str
    next_step: str
    words: str
    names: tuple[str, ...]
    portal: str
    at: datetime | None
    retry_at: datetime | None


def parse_record(text: str) -> Record:
    """A record line, "<name> <type> <value>"; what has another shape is the value of a record without a name."""
    parts = text.split(" ", 2)
    return Record(*parts) if len(parts) == 3 else Record("", "", text)


def findings(raw: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """The findings of a result, the worst first."""
    found = [_finding(entry) for entry in raw]
    return sorted(found, key=lambda finding: _WEIGHT[finding.level])


def trouble(raw: Mapping[str, Any] | None) -> Trouble | None:
    """The failure of a result or of a certificate's last attempt; None when there is none."""
    if not raw or not raw.get("sentence"):
        return None
    url = str(raw.get("url", ""))
    return Trouble(
        sentence=str(raw["sentence"]),
        next_step=str(raw.get("next_step", "")),
        words=str(raw.get("detail", "")),
        names=tuple(str(name) for name in raw.get("names") or ()),
        portal=url if url.startswith("https://") else "",
        at=moment(raw.get("at")),
        retry_at=moment(raw.get("retry_at")),
    )


def moment(value: object) -> datetime | None:
    """A moment that was stored in JSON, None for anything else."""
    if not isinstance(value, str) or not value:
        return None
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _finding(raw: Mapping[str, Any]) -> Finding:
    level = str(raw.get("level", "")).lower()
    level = level if level in TONES else "info"
    record = str(raw.get("record", ""))
    return Finding(
        level=level,
        tone=TONES[level],
        word=WORDS[level],
        subject=str(raw.get("subject", "")),
        sentence=str(raw.get("sentence", "")),
        next_step=str(raw.get("next_step", "")),
        record=parse_record(record) if record else None,
    )
