"""Token files of HTTP-01 challenges (RFC 8555 section 8.3), which nginx serves from the webroot.
May import: agent.acme.problems."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from agent.acme.problems import BrokenOrder

# base64url and nothing else: a token becomes a file name (lego was led out of its folder by one, CVE-2026-40611).
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,512}")
_STALE_SECONDS = 86_400
FOLDER = Path(".well-known/acme-challenge")


class TokenFiles:
    """Files that stand in the webroot inside the block. What a killed agent left there a day ago goes too."""

    def __init__(self, webroot: Path) -> None:
        self._folder = webroot / FOLDER
        self._written: list[Path] = []

    def __enter__(self) -> TokenFiles:
        return self

    def write(self, token: str, text: str) -> None:
        """Puts one answer in place, whole, and readable for nginx's workers. Raises BrokenOrder or OSError."""
        if not _TOKEN.fullmatch(token):
            raise BrokenOrder("The authority sent a token that is not one.")
        for folder in (self._folder.parent.parent, self._folder.parent, self._folder):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        path, temporary = self._folder / token, self._folder / f".{token}.{os.getpid()}.tmp"
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "w") as file:
            os.fchmod(file.fileno(), 0o644)  # whatever the umask is
            file.write(text)
        self._written.append(path)
        temporary.rename(path)

    def sweep(self, tokens: Sequence[str]) -> None:
        """Takes away the files of these tokens, whoever wrote them."""
        for token in tokens:
            if _TOKEN.fullmatch(token):
                (self._folder / token).unlink(missing_ok=True)

    def remove(self) -> None:
        """Takes the files of this block away, and those that nobody needs any more."""
        for path in self._written:
            path.unlink(missing_ok=True)
        self._written.clear()
        oldest = time.time() - _STALE_SECONDS
        for path in self._folder.glob("*") if self._folder.is_dir() else ():
            if path.is_file() and path.lstat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()
