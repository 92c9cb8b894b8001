"""A newer Pebble than the machine's own, for renewal information, profiles and `replaces`: Debian's unstable one.
May import: pytest and the standard library. Nothing is installed: the program is unpacked into the user's cache."""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

_SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SECONDS = 120


class NoNewerPebble(Exception):
    """It cannot be had here; the sentence says why."""


def newer_pebble() -> Path:
    """The program. Skips the test with the reason where it cannot be had; WAYPOST_PEBBLE names one that is there."""
    try:
        return find_newer_pebble()
    except NoNewerPebble as reason:
        pytest.skip(f"needs a newer Pebble: {reason}")


@functools.cache
def find_newer_pebble() -> Path:
    """The program, downloaded once per machine. Raises NoNewerPebble."""
    given = os.environ.get("WAYPOST_PEBBLE", "")
    if given:
        return _checked(Path(given))
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "waypost-tests"
    program = cache / "pebble"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "pebble.lock").open("w") as lock:  # several test processes may start at once
            fcntl.lockf(lock, fcntl.LOCK_EX)
            if not program.exists():
                _download(program)
    except OSError as error:
        raise NoNewerPebble(f"it could not be kept in {cache} ({error})") from error
    return _checked(program)


def _checked(program: Path) -> Path:
    """2.4 does not know -version; every version with renewal information does."""
    try:
        done = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoNewerPebble(f"{program} does not run ({error})") from error
    if "Pebble version" not in done.stdout + done.stderr:
        raise NoNewerPebble(f"{program} is too old")
    return program


def _download(program: Path) -> None:
    """apt checks the package against Debian's keyring; its lists and cache are private to this folder."""
    with tempfile.TemporaryDirectory(dir=program.parent) as name:
        folder = Path(name)
        configuration = _configuration(folder)
        _run("apt-get", "-c", configuration, "-qq", "update", cwd=folder)
        _run("apt-get", "-c", configuration, "-qq", "download", "pebble/sid", cwd=folder)
        _run("dpkg", "-x", str(next(folder.glob("pebble_*.deb"))), "unpacked", cwd=folder)
        (folder / "unpacked" / "usr" / "bin" / "pebble").rename(program)


def _configuration(folder: Path) -> str:
    """Settings for apt that touch nothing of the machine's."""
    for path in ("lists/partial", "cache/archives/partial"):
        (folder / path).mkdir(parents=True)
    (folder / "sid.sources").write_text(
        f"Types: deb\nURIs: {_mirror()}\nSuites: sid\nComponents: main\nSigned-By: {_KEYRING}\n"
    )
    settings = {
        "Dir::Etc::sourcelist": folder / "sid.sources",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": folder / "lists",
        "Dir::Cache": folder / "cache",
        "Dir::State::status": "/var/lib/dpkg/status",
        "APT::Sandbox::User": "",
        "Acquire::Retries": 1,
    }
    configuration = folder / "apt.conf"
    configuration.write_text("".join(f'{name} "{value}";\n' for name, value in settings.items()))
    return str(configuration)


def _mirror() -> str:
    """Where this machine gets Debian from."""
    if not shutil.which("apt-get") or not _KEYRING.exists():
        raise NoNewerPebble("this is not Debian")
    for path in _SOURCES:
        text = path.read_text() if path.exists() else ""
        match = re.search(r"^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(https?://\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
        if match:
            return match[1]
    raise NoNewerPebble("no Debian mirror is set up")


def _run(*command: str, cwd: Path) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoNewerPebble(f"{command[0]} did not do it ({error})") from error
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
        raise NoNewerPebble(f"{command[0]} failed ({last})")
