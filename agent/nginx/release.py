"""Releases: whole folders of configuration, written beside the live one and switched to by renaming a link.
May import: agent.nginx.bundle and agent.nginx.layout."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.nginx.bundle import Bundle, BundleFile
from agent.nginx.layout import Layout

KEEP = 5

# Inode, size, and the times of the last write and of the last change of any kind.
_Mark = tuple[int, int, int, int]

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
        self._name = ""
        self._marks: dict[str, _Mark] = {}

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

    def held(self, release: Release | None) -> dict[str, str]:
        """sha256 → path, of those files of a release that still are what was written (a hand edit is not). Files are
        read only when the kernel says that they were touched since they were read or written last."""
        if release is None:
            return {}
        if release.name != self._name:
            self._name, self._marks = release.name, {}
        folder = str(self._layout.release(release.name))
        files = [file for file in release.bundle.files if self._is_unchanged(folder, file)]
        return {file.sha256: f"{folder}/{file.path}" for file in files}

    def edits(self, release: Release, held: Mapping[str, str]) -> list[str]:
        """The paths of a release that are not as they were written: changed, gone, or added where nginx reads them."""
        folder = self._layout.release(release.name)
        changed = [file.path for file in release.bundle.files if file.sha256 not in held]
        known = {file.path for file in release.bundle.files}
        found = {f"hosts/{path.name}" for path in (folder / "hosts").glob("*.conf")}
        conf = folder / "nginx.conf"
        is_ours = not release.wrapper or (conf.is_file() and conf.read_text(errors="replace") == release.wrapper)
        return [*changed, *sorted(found - known), *([] if is_ours else ["nginx.conf"])]

    def _is_unchanged(self, folder: str, file: BundleFile) -> bool:
        path = f"{folder}/{file.path}"
        mark = _mark(path)
        if mark is not None and self._marks.get(file.path) == mark:
            return True
        if not _is_intact(path, file):
            self._marks.pop(file.path, None)
            return False
        if mark is not None:
            self._marks[file.path] = mark
        return True

    def stage(
        self,
        bundle: Bundle,
        contents: Mapping[str, bytes],
        held: Mapping[str, str],
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
        self._remember(name, bundle, contents)
        return name

    def _remember(self, name: str, bundle: Bundle, contents: Mapping[str, bytes]) -> None:
        """The links have changed the times of files whose contents are known; those that were written to are not."""
        before, self._name, self._marks = self._marks, name, {}
        folder = str(self._layout.release(name))
        for file in bundle.files:
            mark, old = _mark(f"{folder}/{file.path}"), before.get(file.path)
            is_known = file.sha256 in contents or (mark and old and mark[:3] == old[:3])
            if mark is not None and is_known:
                self._marks[file.path] = mark

    @contextmanager
    def scratch(self, bundle: Bundle, contents: Mapping[str, bytes], held: Mapping[str, str]) -> Iterator[Path]:
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
        return same_wrapper and all(_is_intact(f"{folder}/{file.path}", file) for file in bundle.files)


def write_tree(folder: Path, bundle: Bundle, contents: Mapping[str, bytes], held: Mapping[str, str]) -> list[Path]:
    """Writes the bundle's files below a folder that does not exist yet; answers those that are no links."""
    for new in (folder, folder / "hosts"):
        new.mkdir(parents=True)
        new.chmod(0o755)
    written: list[Path] = []
    for file in bundle.files:
        if file.sha256 in contents:
            path = folder / file.path
            _write(path, contents[file.sha256])
            written.append(path)
        else:
            os.link(held[file.sha256], f"{folder}/{file.path}")
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


def _is_intact(path: str, file: BundleFile) -> bool:
    if _mark(path) is None:
        return False
    try:
        data = Path(path).read_bytes()
    except OSError:
        return False
    return len(data) == file.size and hashlib.sha256(data).hexdigest() == file.sha256


def _mark(path: str) -> _Mark | None:
    """Changes with every change of the file, which nobody can hide from the kernel. None for what is no plain file."""
    try:
        facts = os.lstat(path)
    except OSError:
        return None
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) if stat.S_ISREG(facts.st_mode) else None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
