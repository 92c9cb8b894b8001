"""Which certificates the configuration names that nginx serves, and by what name to ask for each.
May import: agent.nginx.{layout,release}."""

from __future__ import annotations

import re
from pathlib import Path

from agent.nginx.layout import Layout
from agent.nginx.release import Releases

# A label that nobody uses, to ask for a certificate by a wildcard.
_PROBE = "waypost-check"
_SERVER_NAME = re.compile(r"^\s*server_name\s+([^;]+);", re.MULTILINE)
_PLAIN = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+", re.IGNORECASE)


class Usage:
    """Reads the current release once for each release. Not thread-safe by itself; what it keeps is replaced whole."""

    def __init__(self, layout: Layout, root: Path) -> None:
        """`root` is the folder of the certificates."""
        self._layout = layout
        self._root = root
        self._releases = Releases(layout)
        self._pattern = re.compile(re.escape(f"{root}/live/") + r"([A-Za-z0-9._-]+)/fullchain\.pem")
        self._known: tuple[str, dict[str, list[str]]] = ("", {})

    def is_named(self, name: str) -> bool:
        """Whether nginx reads this certificate at its next start or reload."""
        return name in self._named()

    def missing(self) -> frozenset[str]:
        """Those that nginx could not load now, because a file of theirs is gone."""
        kinds = ("fullchain", "privkey")
        live = self._root / "live"
        return frozenset(n for n in self._named() if not all((live / n / f"{kind}.pem").exists() for kind in kinds))

    def server_names(self, name: str) -> list[str]:
        """One name for each host that uses it and can be asked for by name (SNI: RFC 6066, section 3)."""
        return self._named().get(name, [])

    def _named(self) -> dict[str, list[str]]:
        current = self._releases.current_name()
        if self._known[0] != current:
            self._known = (current, self._read(current) if current else {})
        return self._known[1]

    def _read(self, release: str) -> dict[str, list[str]]:
        folder = self._layout.release(release)
        found: dict[str, list[str]] = {}
        for path in [folder / "default.conf", *sorted((folder / "hosts").glob("*.conf"))]:
            text = path.read_text(errors="replace") if path.exists() else ""
            for name in dict.fromkeys(self._pattern.findall(text)):
                found.setdefault(name, []).extend(_first_name(text))
        return found


def _first_name(text: str) -> list[str]:
    """The first server name that can be asked for: no address, no pattern in the middle."""
    for words in _SERVER_NAME.findall(text):
        for word in words.split():
            name = word.strip('"').removeprefix(".")
            name = f"{_PROBE}{name[1:]}" if name.startswith("*.") else name
            if _PLAIN.fullmatch(name) and not re.fullmatch(r"[0-9.]+", name):
                return [name]
    return []
