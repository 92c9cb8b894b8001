"""nginx's own words: the lines of `nginx -t` and of the error log, and the places in files that they name.
May import: agent.output."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agent.output import clean_lines

FATAL = frozenset({"emerg", "alert", "crit"})

_LINE = re.compile(
    r"(?:nginx: |\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )\[(?P<level>[a-z]+)\] (?:(?P<pid>\d+)#\d+: )?(?:\*\d+ )?(?P<text>.*)"
)
_MISSING = re.compile(r'cannot load certificate(?: key)? "(?P<path>/[^"]+)":.*No such file')
_PLACE = re.compile(r" in (?P<path>/.+):(?P<line>\d+)$")


@dataclass(frozen=True)
class LogLine:
    """One message. `pid` is 0 when the line names none."""

    level: str
    pid: int
    text: str


@dataclass(frozen=True)
class FileError:
    """What nginx refused: a path inside the bundle, a line (0 when none was named), and nginx's own words."""

    path: str
    line: int
    text: str


def read_lines(data: bytes) -> list[LogLine]:
    """Messages of nginx; lines that are none (the summary of `nginx -t`) are left out."""
    found = (_LINE.match(line) for line in clean_lines(data))
    return [LogLine(m["level"], int(m["pid"] or 0), m["text"]) for m in found if m]


def relative(text: str, *folders: Path) -> str:
    """The text without this machine's folders, so that people read paths of the bundle."""
    for folder in folders:
        text = text.replace(f"{folder}/", "")
    return text


def explain(text: str) -> str:
    """Nginx's words, after a plain sentence where they need one: a certificate's file that is not there."""
    missing = _MISSING.search(text)
    return f"The certificate file {missing['path']} is missing. nginx: {text}" if missing else text


def locate(line: LogLine, folder: Path) -> FileError | None:
    """The file of the bundle that a message names, or None."""
    found = _PLACE.search(line.text)
    if found is None or not found["path"].startswith(f"{folder}/"):
        return None
    path = found["path"].removeprefix(f"{folder}/")
    return FileError(path, int(found["line"]), relative(line.text[: found.start()], folder))


def unique(texts: Iterable[str]) -> list[str]:
    """Without repeats, in order: nginx tries to bind five times and says so each time."""
    return list(dict.fromkeys(texts))


def place(path: str, line: int, text: str) -> str:
    """The text with its place before it, as far as that is known."""
    if not path:
        return text
    return f"{path}, line {line}: {text}" if line else f"{path}: {text}"
