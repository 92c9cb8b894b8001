"""Certificates on disk in certbot's layout: versions in archive/, four links in live/ that say which one is used.
May import: agent.errors, agent.acme.{certbot,leaf}, agent.failpoints."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from agent import failpoints
from agent.acme.certbot import certbot_lock, check_name, make_folders, read_renewal, renewal_path, sync, write_new
from agent.acme.leaf import Leaf, Material, find_mismatch, read_leaf, split
from agent.errors import AgentError

# In the order in which the links are switched: the two that nginx reads last, and one right after the other.
KINDS = ("cert", "chain", "privkey", "fullchain")
KEEP = 5
SWITCH_SECONDS = 5.0
_FILE = re.compile(r"(cert|chain|privkey|fullchain)([0-9]{1,9})\.pem")
_README = "The links here say which version is used; nginx is given fullchain.pem and privkey.pem. Do not move them.\n"

# Of each file that a lineage's links lead to: where they lead, inode, size, last write.
_Mark = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Sight:
    """How a lineage was found. `problem` says why nginx cannot use it; `version` is 0 when its links disagree or lead
    to something that is not ours."""

    name: str
    leaf: Leaf | None = None
    version: int = 0
    problem: str = ""


class Lineages:
    """One folder like /etc/letsencrypt. Names are checked, so that none leads out of it. Writers hold certbot's lock;
    the caller sees to it that one of them works on a lineage at a time. Methods raise AgentError and OSError."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[str, tuple[_Mark, Sight]] = {}

    def names(self) -> list[str]:
        """Every lineage that certbot or nginx could know."""
        live, renewal = self.root / "live", self.root / "renewal"
        folders = [path.name for path in live.iterdir() if path.is_dir()] if live.exists() else []
        files = [path.stem for path in renewal.glob("*.conf")] if renewal.exists() else []
        return sorted({name for name in (*folders, *files) if _is_name(name)})

    def look(self, name: str) -> Sight:
        """Files are read only when the kernel says that they are not those that were read last. Never raises."""
        try:
            mark = tuple(self._mark(name, kind) for kind in KINDS)
            known = self._seen.get(name)
            if known is None or known[0] != mark:
                known = self._seen[name] = (mark, self._read(name))
        except OSError as error:
            return Sight(name, problem=f"{error.filename} cannot be read: {error.strerror}.")
        return known[1]

    def material(self, name: str, version: int = 0) -> Material:
        """What is used now, or a version. Raises OSError, and ValueError when it is damaged."""
        paths = {kind: self._file(name, kind, version) if version else self.link(name, kind) for kind in KINDS}
        return split(paths["fullchain"].read_text(), paths["privkey"].read_text())

    def versions(self, name: str) -> list[int]:
        """The complete ones, oldest first."""
        kinds = self._numbers(name)
        return sorted(number for number, found in kinds.items() if len(found) == len(KINDS))

    def add(self, name: str, material: Material) -> int:
        """Writes the next version, durably, and switches nothing. A version that is the newest already is used again,
        so that a certificate which is fetched twice is stored once."""
        with certbot_lock(self._made()):
            known = self.versions(name)
            if known and self._file(name, "fullchain", known[-1]).read_text() == material.fullchain_pem:
                return known[-1]
            number = max(self._numbers(name), default=0) + 1
            folder = self.root / "archive" / check_name(name)
            folder.mkdir(mode=0o700, exist_ok=True)
            try:
                self._write(name, number, material)
            except OSError:
                self._remove(name, number)
                raise
            sync(folder)
            sync(folder.parent)
        return number

    def check(self, name: str, version: int) -> str:
        """Reads a version back from disk: why it cannot be used, or nothing."""
        try:
            chain = self._file(name, "fullchain", version).read_text()
            return find_mismatch(chain, self._file(name, "privkey", version).read_text())
        except (OSError, UnicodeDecodeError) as error:
            return f"Version {version} of {name} cannot be read back ({error})."

    def switch(self, name: str, version: int) -> None:
        """Makes the four links lead to a version. A crash in between is mended by `repair`. Waits only seconds for
        certbot: an apply may wait for who calls this."""
        with certbot_lock(self._made(), SWITCH_SECONDS):
            self._switch(name, version)

    def repair(self, name: str) -> str:
        """Mends links that lead to different versions, or to what nginx cannot use: to the newest complete version.
        Answers what was done, or nothing."""
        sight = self.look(name)
        versions = self.versions(name)
        if not versions or not self._has("live", name) or not (sight.problem or sight.version == 0):
            return ""
        with certbot_lock(self._made()):
            usable = next((number for number in reversed(versions) if not self.check(name, number)), None)
            if usable is None:
                return f"No version of the certificate {name} can be used."
            self._switch(name, usable)
        return f"The certificate {name} was between two versions; version {usable} is used."

    def prune(self, name: str) -> None:
        """Keeps what is used, five versions before it, and any after it."""
        version = self.look(name).version
        old = sorted((number for number in self._numbers(name) if number < version), reverse=True)
        with certbot_lock(self._made()):
            for number in old[KEEP:]:
                self._remove(name, number)

    def delete(self, name: str) -> None:
        """Takes a lineage away, so that certbot does not know it either. May be repeated after a crash."""
        with certbot_lock(self._made()):
            renewal_path(self.root, check_name(name)).unlink(missing_ok=True)
            for folder in filter(lambda folder: self._has(folder, name), ("live", "archive")):
                shutil.rmtree(self.root / folder / name)
        self._seen.pop(name, None)

    def link(self, name: str, kind: str) -> Path:
        """What nginx is given."""
        return self.root / "live" / check_name(name) / f"{kind}.pem"

    def has_files(self, name: str) -> bool:
        """Whether the name is taken."""
        return any(self._has(folder, name) for folder in ("live", "archive")) or bool(read_renewal(self.root, name))

    # ---- small things --------------------------------------------------------------------------------------------

    def _made(self) -> Path:
        make_folders(self.root)
        return self.root

    def _has(self, folder: str, name: str) -> bool:
        return (self.root / folder / check_name(name)).is_dir()

    def _file(self, name: str, kind: str, version: int) -> Path:
        return self.root / "archive" / check_name(name) / f"{kind}{version}.pem"

    def _numbers(self, name: str) -> dict[int, set[str]]:
        """Version → the kinds that are there."""
        found: dict[int, set[str]] = {}
        with suppress(FileNotFoundError):
            for path in (self.root / "archive" / check_name(name)).iterdir():
                if match := _FILE.fullmatch(path.name):
                    found.setdefault(int(match[2]), set()).add(match[1])
        return found

    def _write(self, name: str, number: int, material: Material) -> None:
        parts = {
            "privkey": material.key_pem,
            "chain": material.chain_pem,
            "cert": material.leaf_pem,
            "fullchain": material.fullchain_pem,
        }
        for kind, text in parts.items():
            write_new(self._file(name, kind, number), text.encode())
            failpoints.hit("certificate:file")

    def _remove(self, name: str, number: int) -> None:
        for kind in KINDS:
            self._file(name, kind, number).unlink(missing_ok=True)

    def _switch(self, name: str, version: int) -> None:
        folder = self.root / "live" / check_name(name)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (folder / "README").exists():
            write_new(folder / "README", _README.encode())
        # All that needs room comes first: renaming does not.
        for kind in KINDS:
            temporary = folder / f".{kind}.tmp"
            temporary.unlink(missing_ok=True)
            temporary.symlink_to(Path("../../archive") / name / f"{kind}{version}.pem")
        for kind in KINDS:
            (folder / f".{kind}.tmp").replace(folder / f"{kind}.pem")
            failpoints.hit("certificate:link")
        sync(folder)
        sync(folder.parent)

    def _mark(self, name: str, kind: str) -> tuple[str, int, int, int]:
        path = self.link(name, kind)
        facts = path.stat()
        return os.path.realpath(path), facts.st_ino, facts.st_size, facts.st_mtime_ns

    def _read(self, name: str) -> Sight:
        chain, key = self.link(name, "fullchain"), self.link(name, "privkey")
        try:
            text = chain.read_text()
            leaf = read_leaf(text)
            problem = find_mismatch(text, key.read_text())
        except ValueError as error:
            return Sight(name, None, 0, f"{chain} is no certificate ({error}).")
        return Sight(name, leaf, self._linked_version(name), problem)

    def _linked_version(self, name: str) -> int:
        numbers: set[int] = set()
        for kind in KINDS:
            target = Path(os.path.realpath(self.link(name, kind)))
            match = _FILE.fullmatch(target.name)
            is_ours = match and target.parent == Path(os.path.realpath(self.root / "archive" / name))
            numbers.add(int(match[2]) if match and is_ours else 0)
        return numbers.pop() if len(numbers) == 1 else 0


def mend(root: Path) -> list[str]:
    """Mends what a crash left between two versions, so that nginx can start. What certbot looks after is left to it.
    Returns warnings for people."""
    lineages, said = Lineages(root), list[str]()
    try:
        for name in lineages.names():
            renewal = read_renewal(root, name)
            if renewal is not None and not renewal.autorenew:
                said.append(lineages.repair(name))
    except (AgentError, OSError) as error:
        said.append(f"The certificates in {root} could not be looked at: {error}")
    return [text for text in said if text]


def _is_name(name: str) -> bool:
    return name != "README" and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}", name) is not None
