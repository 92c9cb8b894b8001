"""Releases: whole folders of configuration, written beside the live one and switched to by renaming a link.
May import: agent.nginx.{bundle,layout,tree}."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.nginx.bundle import Bundle, BundleFile
from agent.nginx.layout import Layout
from agent.nginx.tree import Mark, fill, inodes, is_intact, link_all, make_folders, mark_of, opened, remove, sync, write

_log = logging.getLogger(__name__)

KEEP = 5

# Gets the folder a release will lie in; answers the text of its nginx.conf.
WriteWrapper = Callable[[Path], str]


@dataclass(frozen=True)
class Release:
    """A finished release: the its folder's name and what was written to it. `wrapper` is the text of its nginx.conf."""

    name: str
    bundle: Bundle
    wrapper: str = ""


@dataclass(frozen=True)
class _Expected:
    """What was staged last, and the marks that its files had then."""

    release: Release
    marks: Mapping[str, Mark]


class Releases:
    """The folder of releases and the link to the current one."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._name = ""
        self._marks: dict[str, Mark] = {}
        self._expected: _Expected | None = None
        self._known: dict[str, tuple[Mark, Release]] = {}
        self._has_spare = False

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
        path = f"{self._layout.release(name)}/manifest.json"
        mark = mark_of(path)
        known = self._known.get(name)
        if known is not None and mark == known[0]:
            return known[1]
        try:
            release = None if mark is None else _read(name, path)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        return None if mark is None or release is None else self._note(mark, release)

    def held(self, release: Release | None, wanted: Container[str] | None = None) -> dict[str, str]:
        """sha256 → path, of those files of a release, all or the wanted hashes, that still are what was written (a
        hand edit is not). Files are read only when the kernel says that they were touched since they were read or
        written last."""
        if release is None:
            return {}
        if release.name != self._name:
            self._name, self._marks = release.name, {}
        folder = str(self._layout.release(release.name))
        with opened(folder) as descriptor:
            asked = (file for file in release.bundle.files if wanted is None or file.sha256 in wanted)
            files = [file for file in asked if self._is_unchanged(folder, descriptor, file)]
        return {file.sha256: f"{folder}/{file.path}" for file in files}

    def edits(self, release: Release, held: Mapping[str, str]) -> list[str]:
        """The paths of a release that are not as they were written: changed, gone, or added where nginx reads them."""
        folder = self._layout.release(release.name)
        changed = [file.path for file in release.bundle.files if file.sha256 not in held]
        known = {file.path for file in release.bundle.files}
        hosts = folder / "hosts"
        found = {f"hosts/{entry.name}" for entry in os.scandir(hosts)} if hosts.is_dir() else set()
        found = {path for path in found if path.endswith(".conf")}
        conf = folder / "nginx.conf"
        is_ours = not release.wrapper or (conf.is_file() and conf.read_text(errors="replace") == release.wrapper)
        return [*changed, *sorted(found - known), *([] if is_ours else ["nginx.conf"])]

    def _is_unchanged(self, folder: str, descriptor: int, file: BundleFile) -> bool:
        mark = mark_of(file.path, descriptor)
        if mark is not None and self._marks.get(file.path) == mark:
            return True
        if not is_intact(f"{folder}/{file.path}", file):
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
        name, there = self._free_name(bundle, held, wrapper)
        if there is not None:
            self._expected = there
            return name
        target = self._layout.release(name)
        temporary = self._layout.releases / f"{name}.tmp"
        remove(temporary)
        if not self._take_spare(temporary):
            make_folders(temporary)
        written = fill(temporary, bundle, contents, held, self._marks)
        fresh = {f"{path.relative_to(temporary)}": mark for path in written if (mark := mark_of(f"{path}"))}
        conf = wrapper(target)
        write(temporary / "nginx.conf", conf.encode())
        files = [[f.path, f.sha256, f.size] for f in bundle.files]
        manifest = {"revision": bundle.revision, "files": files, "wrapper": conf}
        write(temporary / "manifest.json", json.dumps(manifest).encode())
        # Side by side, because the disk takes many syncs in hardly more time than one.
        paths = [*written, *(temporary / name for name in ("nginx.conf", "manifest.json", "hosts")), temporary]
        with ThreadPoolExecutor(max_workers=16) as pool:
            list(pool.map(sync, paths))
        temporary.rename(target)
        sync(self._layout.releases)
        self._expect(Release(name, bundle, conf), fresh)
        return name

    def _expect(self, release: Release, fresh: Mapping[str, Mark]) -> None:
        mark = mark_of(f"{self._layout.release(release.name)}/manifest.json")
        if mark is not None:
            self._note(mark, release)
        paths = {file.path for file in release.bundle.files}
        known = {path: mark for path, mark in self._marks.items() if path in paths}
        self._expected = _Expected(release, {**known, **fresh})

    def _note(self, mark: Mark, release: Release) -> Release:
        """Not read again while its manifest has this mark."""
        self._known = {**dict(list(self._known.items())[-KEEP:]), release.name: (mark, release)}
        return release

    def _remember(self) -> None:
        """Links that were made or removed have changed the times of files whose contents are known. What was written
        to meanwhile shows in its other marks; it is read again."""
        expected = self._expected
        if expected is None or expected.release.name != self.current_name():
            return
        self._name, self._marks, self._expected = expected.release.name, {}, None
        with opened(self._layout.release(self._name)) as descriptor:
            for file in expected.release.bundle.files:
                mark, old = mark_of(file.path, descriptor), expected.marks.get(file.path)
                if mark is not None and old is not None and mark[:3] == old[:3]:
                    self._marks[file.path] = mark

    @contextmanager
    def scratch(self, bundle: Bundle, contents: Mapping[str, bytes], held: Mapping[str, str]) -> Iterator[Path]:
        """A folder with the bundle's files for a test; gone afterwards."""
        folder = self._layout.test / "bundle"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            make_folders(folder)
            fill(folder, bundle, contents, held, {})
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def switch(self, name: str) -> None:
        """Makes a release the current one, by one rename. Raises OSError when that could not be done."""
        link = self._layout.current.with_name("current.tmp")
        link.unlink(missing_ok=True)
        link.symlink_to(Path("releases") / name)
        link.replace(self._layout.current)
        try:
            sync(self._layout.root)
        except OSError as error:  # it is done all the same: nginx is to read what `current` leads to
            _log.warning("whether the switch to %s outlives a power cut is not known: %s", name, error)

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
                remove(folder)
        self._make_spare()
        self._remember()

    @property
    def _spare(self) -> Path:
        """A folder with links to the files of the current release: with the next apply it becomes the new one, in the
        time that its changes take and not in that of all files."""
        return self._layout.releases / "next.tmp"

    def _make_spare(self) -> None:
        """When the rest of an apply is done. Without one the next apply makes its folder itself."""
        current, self._has_spare = self.current(), False
        if current is None:
            return
        try:
            make_folders(self._spare)
            link_all(self._layout.release(current.name), self._spare, current.bundle)
        except OSError as error:
            _log.warning("the folder of the next release could not be made ready: %s", error)
            remove(self._spare)
        else:
            self._has_spare = True

    def _take_spare(self, folder: Path) -> bool:
        """Whether `folder` is now the spare one, which may have been tampered with."""
        is_there, self._has_spare = self._has_spare and self._spare.is_dir(), False
        if is_there:
            self._spare.rename(folder)
        return is_there

    def _free_name(
        self, bundle: Bundle, held: Mapping[str, str], wrapper: WriteWrapper
    ) -> tuple[str, _Expected | None]:
        """The revision; with a number behind it when a release of that revision exists and differs, because its
        files were edited or this machine needs another wrapper now. With what is known of one that can be used."""
        number = 1
        while True:
            name = bundle.revision if number == 1 else f"{bundle.revision}.{number}"
            if not self._layout.release(name).exists():
                return name, None
            there = self._reusable(name, bundle, held, wrapper)
            if there is not None:
                return name, there
            number += 1

    def _reusable(self, name: str, bundle: Bundle, held: Mapping[str, str], wrapper: WriteWrapper) -> _Expected | None:
        """A release of before that is just what is wanted; None when it differs. Only files that are not the very
        ones of the live release are read."""
        folder, release = self._layout.release(name), self.get(name)
        if release is None or release.bundle.revision != bundle.revision:
            return None
        conf = folder / "nginx.conf"
        if not conf.exists() or conf.read_text() != wrapper(folder):
            return None
        marks: dict[str, Mark] = {}
        there = inodes(folder)
        if any(path.startswith("hosts/") for path in there.keys() - {file.path for file in bundle.files}):
            return None
        with opened(folder) as descriptor:
            for file in bundle.files:
                live = self._marks.get(file.path) if held.get(file.sha256, "").endswith(f"/{file.path}") else None
                is_live = live is not None and there.get(file.path) == live[0]
                mark = live if is_live else mark_of(file.path, descriptor)
                if mark is None or not (is_live or is_intact(f"{folder}/{file.path}", file)):
                    return None
                marks[file.path] = mark
        return _Expected(release, marks)


def _read(name: str, path: str) -> Release:
    stored = json.loads(Path(path).read_text())
    files = tuple(BundleFile(path, sha256, size) for path, sha256, size in stored["files"])
    return Release(name, Bundle(stored["revision"], files), stored.get("wrapper", ""))
