"""What the hosts of each release lead to, on disk: known again after a restart, and after a release was put back.
May import: agent.upstreams.upstream."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.upstreams.upstream import Upstream

_log = logging.getLogger(__name__)

# More than the releases that are kept: agent.nginx.release.
KEEP = 8


class UpstreamStore:
    """Thread-safe. One file, by revision."""

    def __init__(self, file: Path, revision: Callable[[], str]) -> None:
        """`revision` tells that of the current release; empty when there is none."""
        self._file = file
        self._revision = revision
        self._lock = threading.Lock()

    def remember(self, revision: str, upstreams: Sequence[Upstream]) -> None:
        """Durable when it returns. Raises OSError."""
        rows = [(one.scheme, one.host, one.port) for one in dict.fromkeys(upstreams)]
        with self._lock:
            kept = self._read()
            if [tuple(row) for row in kept.get(revision, [])] == rows and revision in kept:
                return
            kept.pop(revision, None)
            current = self._revision()
            for old in [one for one in kept if one != current][: max(0, len(kept) - KEEP + 1)]:
                del kept[old]
            self._write({**kept, revision: rows})

    def current(self) -> tuple[Upstream, ...]:
        """Those of the release that nginx reads; none when they are not known."""
        with self._lock:
            rows = self._read().get(self._revision(), [])
        return tuple(Upstream(scheme, host, port) for scheme, host, port in rows)

    def _read(self) -> dict[str, list[tuple[str, str, int]]]:
        try:
            kept = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            _log.warning("what hosts lead to cannot be read; the next apply says it again: %s", error)
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self, kept: dict[str, list[tuple[str, str, int]]]) -> None:
        """In one step, so that a crash leaves the old file or the new one."""
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self._file.with_suffix(".tmp")
        with draft.open("w") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._file)
