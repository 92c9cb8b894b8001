"""What certbot must find so that it lists our certificates and leaves them alone, and what it tells of its own.
May import: agent.errors, agent.nginx.guard."""

from __future__ import annotations

import fcntl
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.errors import AgentError

LOCK_SECONDS = 60.0
_POLL_SECONDS = 0.1
_MARK = "# Written by Waypost, which renews this certificate."
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_README = """This folder holds links to the keys and certificates that are used now, one folder each.

`privkey.pem`   the private key
`fullchain.pem` the certificate with its chain, as nginx reads it
`chain.pem`     the chain alone
`cert.pem`      the certificate alone

They are written by Waypost, in certbot's layout. Do not move or rename them: use the links, they are switched at each
renewal.
"""
_in_process = threading.Lock()


@dataclass(frozen=True)
class Renewal:
    """What a file in renewal/ says. `is_ours` tells that Waypost wrote it, `autorenew` that certbot renews."""

    autorenew: bool
    server: str = ""
    is_ours: bool = False


def check_name(name: str) -> str:
    """The name itself when it can be that of a folder in live/. Raises AgentError: a name is never a path."""
    if not _NAME.fullmatch(name) or name == "README":
        raise AgentError(f"A certificate cannot be called {name[:80]!r}: use letters, digits, dots and hyphens.")
    return name


def renewal_path(root: Path, name: str) -> Path:
    """Where certbot looks for what it should know of a lineage."""
    return root / "renewal" / f"{name}.conf"


def read_renewal(root: Path, name: str) -> Renewal | None:
    """None when there is no such file. certbot renews what does not say otherwise."""
    try:
        text = renewal_path(root, name).read_text(errors="replace")
    except FileNotFoundError:
        return None
    values = dict(re.findall(r"^[ \t]*(\w+)[ \t]*=[ \t]*(.*?)[ \t]*$", text, re.MULTILINE))
    is_off = values.get("autorenew", "").strip("\"'").lower() in {"false", "no", "off", "0"}
    return Renewal(not is_off, values.get("server", "").strip("\"'"), text.startswith(_MARK))


def write_renewal(root: Path, name: str, server: str, webroot: Path) -> None:
    """A file of our own. Whoever leaves Waypost writes `autorenew = True`, and certbot goes on by the same folder."""
    live, archive = root / "live" / name, root / "archive" / name
    paths = "".join(f"{kind} = {live / kind}.pem\n" for kind in ("cert", "privkey", "chain", "fullchain"))
    text = (
        f"{_MARK} certbot leaves it alone as long as autorenew is False.\n"
        f"archive_dir = {archive}\n{paths}\n[renewalparams]\nautorenew = False\nauthenticator = webroot\n"
        f"webroot_path = {webroot},\nserver = {server}\nkey_type = ecdsa\n"
    )
    replace_file(renewal_path(root, name), text.encode())


def take_over(root: Path, name: str) -> None:
    """Writes `autorenew = False` into certbot's own file, and nothing else. Raises AgentError."""
    path = renewal_path(root, name)
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise AgentError(
            f"{path} cannot be read ({error}), so certbot cannot be told to leave {name} alone."
        ) from error
    text = re.sub(r"^[ \t]*autorenew[ \t]*=.*\n?", "", text, flags=re.MULTILINE)
    changed, count = re.subn(
        r"^([ \t]*\[renewalparams\][ \t]*)$", r"\1\nautorenew = False", text, count=1, flags=re.MULTILINE
    )
    replace_file(path, (changed if count else f"{text}\n[renewalparams]\nautorenew = False\n").encode())


def make_folders(root: Path) -> None:
    """The folders that certbot has, 0700 when they are new, and its README."""
    for folder in (root, root / "live", root / "archive", root / "renewal"):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700 if folder != root else 0o755)
    readme = root / "live" / "README"
    if not readme.exists():
        replace_file(readme, _README.encode())


def replace_file(path: Path, data: bytes) -> None:
    """Writes by rename, durably; keeps the permissions of a file that was there, else 0600."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o600
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    write_new(temporary, data, mode)
    temporary.replace(path)
    sync(path.parent)


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Writes a file that must not exist yet, durably."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def certbot_lock(root: Path, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Holds certbot's own lock on its folder, so that neither writes while the other does. Also keeps our threads
    apart, which the kernel's lock does not. Raises AgentError when certbot has it for longer than `seconds`."""
    with _in_process:
        path, deadline = root / ".certbot.lock", time.monotonic() + seconds
        while (handle := _try_lock(path)) is None:
            if time.monotonic() > deadline:
                raise AgentError("certbot is at work on this machine and holds its lock. It is tried again later.")
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)  # before the lock is given up, as certbot does it
            os.close(handle)


def _try_lock(path: Path) -> int | None:
    """The open and locked file, or None when somebody has it. certbot removes the file when it ends, so that a lock
    on a file that is gone counts for nothing."""
    handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except OSError:
        os.close(handle)
        return None
    os.close(handle)
    return None
