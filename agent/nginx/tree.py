"""Folders of configuration files: written, linked, filled with what a bundle names, and looked at.
May import: agent.nginx.bundle."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from agent.nginx.bundle import Bundle, BundleFile

# Inode, size, and the times of the last write and of the last change of any kind.
Mark = tuple[int, int, int, int]


def mark_of(path: str, folder: int | None = None) -> Mark | None:
    """Changes with every change of the file, which nobody can hide from the kernel. None for what is no plain file.
    `folder` is the descriptor of the folder that the path begins in."""
    try:
        facts = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns) if stat.S_ISREG(facts.st_mode) else None


def inodes(folder: Path | str) -> dict[str, int]:
    """Path to inode of what lies in a folder that a bundle fits into; 0 for what is no plain file."""
    return {
        f"{prefix}{entry.name}": entry.inode() if entry.is_file(follow_symlinks=False) else 0
        for prefix, place in (("", f"{folder}"), ("hosts/", f"{folder}/hosts"))
        if Path(place).is_dir()
        for entry in os.scandir(place)
    }


def is_intact(path: str, file: BundleFile) -> bool:
    """Whether the plain file at this path holds what the bundle names."""
    if mark_of(path) is None:
        return False
    try:
        data = Path(path).read_bytes()
    except OSError:
        return False
    return len(data) == file.size and hashlib.sha256(data).hexdigest() == file.sha256


def make_folders(folder: Path) -> None:
    """An empty folder that a bundle fits into; it must not exist yet."""
    for new in (folder, folder / "hosts"):
        new.mkdir(parents=True)
        new.chmod(0o755)


def fill(
    folder: Path,
    bundle: Bundle,
    contents: Mapping[str, bytes],
    held: Mapping[str, str],
    marks: Mapping[str, Mark],
) -> list[Path]:
    """Makes the folder hold exactly the bundle's files: new ones are written, the others are links to what is held.
    Answers those that were written.

    The folder is empty, or has links to files of before; such a link is kept when it leads to the same inode as the
    held file of its path, by its mark.
    """
    with opened(folder) as descriptor:
        there = _tidied(folder, descriptor, {file.path for file in bundle.files})
        written = [file for file in bundle.files if file.sha256 in contents]
        for file in bundle.files:
            if file.sha256 not in contents:
                source = held[file.sha256]
                mark = marks.get(file.path) if source.endswith(f"/{file.path}") else None
                _link(source, file.path, descriptor, there.get(file.path), mark)
            elif file.path in there:
                os.unlink(file.path, dir_fd=descriptor)
    for file in written:
        write(folder / file.path, contents[file.sha256])
    return [folder / file.path for file in written]


def link_all(source: Path, folder: Path, bundle: Bundle) -> None:
    """Links every file of the bundle from one folder to another. Raises OSError when one is missing."""
    with opened(source) as here, opened(folder) as there:
        for file in bundle.files:
            os.link(file.path, file.path, src_dir_fd=here, dst_dir_fd=there, follow_symlinks=False)


def remove(path: Path) -> None:
    """A folder, or whatever somebody has put in its place; links are not followed."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def write(path: Path, data: bytes) -> None:
    """A new file."""
    with path.open("xb") as file:
        file.write(data)
        os.fchmod(file.fileno(), 0o644)


def sync(path: Path) -> None:
    """Until the file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def opened(folder: Path | str) -> Iterator[int]:
    """A folder whose files are then found without walking its path each time."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _tidied(folder: Path, descriptor: int, wanted: set[str]) -> dict[str, int]:
    """Path to inode of the files that are wanted; whatever else lies there is removed."""
    there: dict[str, int] = {}
    for prefix, place in (("", folder), ("hosts/", folder / "hosts")):
        for entry in os.scandir(place):
            path = f"{prefix}{entry.name}"
            if path in wanted and entry.is_file(follow_symlinks=False):
                there[path] = entry.inode()
            elif path != "hosts":
                remove(Path(entry.path))
    return there


def _link(source: str, path: str, descriptor: int, inode: int | None, mark: Mark | None) -> None:
    if inode is not None and mark is not None and inode == mark[0]:
        return
    if inode is not None:
        os.unlink(path, dir_fd=descriptor)
    os.link(source, path, dst_dir_fd=descriptor, follow_symlinks=False)
