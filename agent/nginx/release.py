"""Releases: whole folders of configuration, written beside the live one and switched to by renaming a link.
May import: agent.nginx.bundle and agent.nginx.layout."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.nginx.bundle import Bundle, BundleFile
from agent.nginx.layout import Layout

KEEP = 5

# Gets the folder a release will lie in; answers the text of its nginx.conf.
WriteWrapper = Callable[[Path], str]


@dataclass(frozen=True)
class Release:
    """A finished release: the its folder's name and what was written to it. `wrapper` is the text of its nginx.conf."""

    name: str
    bundle: Bundle
    wrapper: str = ""


class Releases:
    """The folder of releases and the link to the current one."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def current(self) -> Release | None:
        """The release that nginx reads at its next start or reload."""
        name = self.current_name()
        return self.get(name) if name else None

    def current_name(self) -> str:
        """The name of the current release, also of one that has lost its manifest; empty when there is none."""
        try:
            return self._layout.current.readlink().name
        except OSError:
            return ""

    def get(self, name: str) -> Release | None:
        """A release by the name of its folder; None when it is gone or has lost its manifest."""
        try:
            stored = json.loads((self._layout.release(name) / "manifest.json").read_text())
            files = tuple(BundleFile(path, sha256, size) for path, sha256, size in stored["files"])
            return Release(name, Bundle(stored["revision"], files), stored.get("wrapper", ""))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def held(self, release: Release | None) -> dict[str, Path]:
        """sha256 → file, of those files of a release that still are what was written (a hand edit is not)."""
        if release is None:
            return {}
        folder = self._layout.release(release.name)
        return {file.sha256: folder / file.path for file in release.bundle.files if _is_intact(folder, file)}

    def stage(
        self,
        bundle: Bundle,
        contents: Mapping[str, bytes],
        held: Mapping[str, Path],
        wrapper: WriteWrapper,
    ) -> str:
        """Writes a release durably and returns its name. Unchanged files are hard links to those held."""
        name = self._free_name(bundle, wrapper)
        target = self._layout.release(name)
        if target.exists():
            return name
        temporary = self._layout.releases / f"{name}.tmp"
        _remove(temporary)
        written = write_tree(temporary, bundle, contents, held)
        conf = wrapper(target)
        _write(temporary / "nginx.conf", conf.encode())
        files = [[f.path, f.sha256, f.size] for f in bundle.files]
        manifest = {"revision": bundle.revision, "files": files, "wrapper": conf}
        _write(temporary / "manifest.json", json.dumps(manifest).encode())
        # Side by side, because the disk takes many syncs in hardly more time than one.
        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(_sync, [*written, temporary / "nginx.conf", temporary / "manifest.json"]))
        for folder in (temporary / "hosts", temporary):
            _sync(folder)
        temporary.rename(target)
        _sync(self._layout.releases)
        return name

    @contextmanager
    def scratch(self, bundle: Bundle, contents: Mapping[str, bytes], held: Mapping[str, Path]) -> Iterator[Path]:
        """A folder with the bundle's files for a test; gone afterwards."""
        folder = self._layout.test / "bundle"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            write_tree(folder, bundle, contents, held)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def switch(self, name: str) -> None:
        """Makes a release the current one, by one rename."""
        link = self._layout.current.with_name("current.tmp")
        link.unlink(missing_ok=True)
        link.symlink_to(Path("releases") / name)
        link.replace(self._layout.current)
        _sync(self._layout.root)

    def discard(self, name: str) -> None:
        """Removes a release that was never switched to; the current one stays."""
        current = self.current()
        if current is None or current.name != name:
            shutil.rmtree(self._layout.release(name), ignore_errors=True)

    def names(self) -> list[str]:
        """Every finished release, the newest first."""
        folders = sorted(self._layout.releases.iterdir(), key=lambda f: f.stat().st_mtime, reverse=True)
        return [folder.name for folder in folders if folder.suffix != ".tmp"]

    def prune(self, *keep: str) -> None:
        """Removes unfinished releases and all but the newest five; `keep` and the current one always stay."""
        wanted = {*keep, *self.names()[:KEEP], self.current_name()}
        for folder in self._layout.releases.iterdir():
            if folder.name not in wanted:
                _remove(folder)

    def _free_name(self, bundle: Bundle, wrapper: WriteWrapper) -> str:
        """The revision; with a number behind it when a release of that revision exists and differs, because its
        files were edited or this machine needs another wrapper now."""
        number = 1
        while True:
            name = bundle.revision if number == 1 else f"{bundle.revision}.{number}"
            if not self._layout.release(name).exists() or self._is_reusable(name, bundle, wrapper):
                return name
            number += 1

    def _is_reusable(self, name: str, bundle: Bundle, wrapper: WriteWrapper) -> bool:
        folder, release = self._layout.release(name), self.get(name)
        if release is None or release.bundle.revision != bundle.revision:
            return False
        conf = folder / "nginx.conf"
        same_wrapper = conf.exists() and conf.read_text() == wrapper(folder)
        return same_wrapper and all(_is_intact(folder, file) for file in bundle.files)


def write_tree(folder: Path, bundle: Bundle, contents: Mapping[str, bytes], held: Mapping[str, Path]) -> list[Path]:
    """Writes the bundle's files below a folder that does not exist yet; answers those that are no links."""
    for new in (folder, folder / "hosts"):
        new.mkdir(parents=True)
        new.chmod(0o755)
    written: list[Path] = []
    for file in bundle.files:
        path = folder / file.path
        if file.sha256 in contents:
            _write(path, contents[file.sha256])
            written.append(path)
        else:
            os.link(held[file.sha256], path)
    return written


def _remove(path: Path) -> None:
    """A folder, or whatever somebody has put in its place; links are not followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        os.fchmod(file.fileno(), 0o644)


def _is_intact(folder: Path, file: BundleFile) -> bool:
    path = folder / file.path
    try:
        data = path.read_bytes() if not path.is_symlink() else b""
    except OSError:
        return False
    return len(data) == file.size and hashlib.sha256(data).hexdigest() == file.sha256


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
