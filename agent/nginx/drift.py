"""Drift: files of the current release that somebody else has changed, removed or added.
May import: agent.errors, agent.nginx.{bundle,interface,layout,release}."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

from agent.errors import NginxUnavailable
from agent.nginx.interface import Nginx
from agent.nginx.layout import Layout
from agent.nginx.release import Release, Releases

MAX_FILES = 50
MAX_TEXT = 32 * 1024
MAX_TOTAL = 192 * 1024
# A look costs one stat per file; that an edit kept time and size is noticed by reading everything this often.
FULL_SECONDS = 45.0


@dataclass(frozen=True)
class DriftedFile:
    """One file that is not as the agent wrote it. `text` is what stands there now, cut at 32 KiB; `original` what was
    written, where only the agent knows it; `loaded` whether nginx has read the file as it is now."""

    path: str
    kind: str
    sha256: str = ""
    text: str = ""
    original: str = ""
    truncated: bool = False
    loaded: bool = False


@dataclass(frozen=True)
class Drift:
    """All of it; `more` counts files that are not listed."""

    files: tuple[DriftedFile, ...] = ()
    more: int = 0


# What tells cheaply that a file was touched: inode, size and time of change.
_Mark = tuple[int, int, int]


class DriftWatch:
    """Looks at the files of the current release. Not thread-safe."""

    def __init__(self, layout: Layout, nginx: Nginx, releases: Releases) -> None:
        self._layout = layout
        self._nginx = nginx
        self._releases = releases
        self._release: Release | None = None
        self._intact: dict[str, _Mark] = {}
        self._read_at = 0.0

    def look(self) -> Drift:
        """The drift now. Raises OSError when the folder of releases cannot be read."""
        if self._releases.current_name() != (self._release.name if self._release else ""):
            self._release, self._intact = self._releases.current(), {}
        if time.monotonic() > self._read_at + FULL_SECONDS:
            self._intact, self._read_at = {}, time.monotonic()
        return self._drift_of(self._release) if self._release else Drift()

    def _drift_of(self, release: Release) -> Drift:
        folder = self._layout.release(release.name)
        wanted = {file.path: file.sha256 for file in release.bundle.files}
        if release.wrapper:
            wanted["nginx.conf"] = _sha256(release.wrapper.encode())
        changed = [path for path, sha256 in wanted.items() if not self._is_intact(folder, path, sha256)]
        added = sorted({f"hosts/{path.name}" for path in (folder / "hosts").glob("*.conf")} - set(wanted))
        loaded_since = self._loaded_since() if changed or added else 0.0
        files: list[DriftedFile] = []
        room = MAX_TOTAL
        for path in [*changed, *added][:MAX_FILES]:
            found = _describe(folder / path, wanted.get(path, ""), loaded_since, max(0, min(room, MAX_TEXT)))
            original = release.wrapper if path == "nginx.conf" else ""
            room -= len(found.text) + len(original)
            files.append(replace(found, path=path, original=original))
        return Drift(tuple(files), len(changed) + len(added) - len(files))

    def _is_intact(self, folder: Path, path: str, sha256: str) -> bool:
        mark = _mark(folder / path)
        if mark is not None and self._intact.get(path) == mark:
            return True
        if mark is None or _sha256((folder / path).read_bytes()) != sha256:
            self._intact.pop(path, None)
            return False
        self._intact[path] = mark
        return True

    def _loaded_since(self) -> float:
        """When the oldest worker that serves was started, in seconds since the epoch; 0.0 when nothing runs."""
        try:
            return self._nginx.serving_since()
        except NginxUnavailable:
            return 0.0


def _describe(file: Path, sha256: str, loaded_since: float, room: int) -> DriftedFile:
    """`sha256` is empty for a file that nobody wrote; at most `room` bytes of the text."""
    is_there = _mark(file) is not None
    kind = "missing" if not is_there else "changed" if sha256 else "added"
    touched_at = (file if is_there else file.parent).stat().st_ctime  # a removal shows in the folder's own time
    data = file.read_bytes() if is_there else b""
    text = data[:room].decode(errors="replace")
    return DriftedFile("", kind, sha256, text, "", len(data) > room, touched_at < loaded_since)


def _mark(file: Path) -> _Mark | None:
    """None for what is no plain file: a link is as good as missing, its target is none of our business."""
    try:
        facts = file.lstat()
    except OSError:
        return None
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns) if file.is_file() and not file.is_symlink() else None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
