"""What an agent's nginx is to read: files, and the revision that names exactly these contents.
May import: the standard library only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from panel.i18n import gettext as _


@dataclass(frozen=True)
class ConfigFile:
    """One file. `path` is relative and at most one folder deep."""

    path: str
    text: str

    @cached_property
    def sha256(self) -> str:
        """The hash of the content, hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @cached_property
    def size(self) -> int:
        """The length of the content in bytes."""
        return len(self.text.encode())


@dataclass(frozen=True)
class ConfigBundle:
    """All files of one revision, sorted by path."""

    files: tuple[ConfigFile, ...]
    revision: str

    @classmethod
    def of(cls, files: Iterable[ConfigFile]) -> ConfigBundle:
        """These files under their revision. Raises ValueError when two have the same path."""
        ordered = tuple(sorted(files, key=lambda file: file.path))
        bundle = cls(files=ordered, revision=revision_of({file.path: file.sha256 for file in ordered}))
        if len(bundle.manifest) != len(ordered):
            raise ValueError(_("Two files of one bundle have the same path."))
        return bundle

    @cached_property
    def manifest(self) -> dict[str, str]:
        """Path to sha256."""
        return {file.path: file.sha256 for file in self.files}


def revision_of(manifest: dict[str, str]) -> str:
    """The revision of a manifest: sha256 over its sorted lines "<path> <sha256>", hex."""
    lines = "".join(f"{path} {sha256}\n" for path, sha256 in sorted(manifest.items()))
    return hashlib.sha256(lines.encode()).hexdigest()
