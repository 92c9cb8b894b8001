"""Text and times from an agent, harmless: no escapes, no controls, nothing endless.
May import: google.protobuf, and the standard library."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

MAX_TEXT = 4096  # characters of one line or sentence
MAX_LISTED = 1000  # open commands, modules, file errors

# ANSI (CSI, OSC and two-byte escapes) as a whole, then every other control and the marks that reorder a line.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(text: str, limit: int = MAX_TEXT) -> str:
    """One line of harmless text: no escapes, no controls, at most `limit` characters."""
    return _CONTROLS.sub("", _ESCAPES.sub("", text[: 4 * limit].replace("\t", " ")))[:limit]


def clean_lines(text: str, limit: int) -> str:
    """Lines of harmless text, at most `limit` characters."""
    return "\n".join(clean(line) for line in text[:limit].splitlines())


def clean_list(texts: Iterable[str], most: int, limit: int = MAX_TEXT) -> list[str]:
    """At most `most` harmless texts."""
    return [clean(text, limit) for text in list(texts)[:most]]


def clean_value(value: Any) -> Any:
    """A plain JSON value with every text in it harmless."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [clean_value(item) for item in value[:MAX_LISTED]]
    if isinstance(value, dict):
        return {name: clean_value(item) for name, item in value.items()}
    return value


def moment(stamp: Timestamp, otherwise: datetime) -> datetime:
    """A moment from the wire; `otherwise` stands in for one that no calendar knows."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        return otherwise


def moment_in(message: Any, field: str) -> datetime | None:
    """The moment in a field of a message; None when it is not set, or no calendar knows it."""
    if not message.HasField(field):
        return None
    never = datetime.min.replace(tzinfo=UTC)
    found = moment(getattr(message, field), never)
    return None if found == never else found


def duration(span: timedelta) -> Duration:
    """A span of time for the wire."""
    message = Duration()
    message.FromTimedelta(span)
    return message


def timestamp(at: datetime) -> Timestamp:
    """A moment for the wire."""
    message = Timestamp()
    message.FromDatetime(at)
    return message
