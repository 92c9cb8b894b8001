"""Whether a certificate could be saved: nothing is ordered that would be lost.
May import: agent.acme.causes, agent.acme.spec, agent.acme.check.surroundings."""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

from agent.acme.causes import say
from agent.acme.check.surroundings import Question
from agent.acme.spec import Finding, Level

NEEDED, COMFORTABLE = 1 << 20, 50 << 20  # bytes: one certificate with its key takes about 20 KiB
_FOLDERS = ("", "live", "archive", "renewal")


def check_storage(question: Question) -> list[Finding]:
    """Writes, reads and deletes a file in each folder that there is of certbot's layout."""
    root = question.here.config.letsencrypt_dir
    try:
        for folder in dict.fromkeys(_nearest(root / name) for name in _FOLDERS):
            _try_out(folder)
        free = shutil.disk_usage(_nearest(root)).free
    except OSError as error:
        return [_error(str(error.filename or root), error.strerror or str(error))]
    if free < NEEDED:
        return [_error(str(root), "its disk is full")]
    if free < COMFORTABLE:
        sentence = f"{root} can be written, but its disk has only {free >> 20} MiB left."
        return [Finding(Level.WARNING, "storage", sentence, next_step="Make room.", cause="storage")]
    return [Finding(Level.OK, "storage", f"{root} can be written.")]


def _error(path: str, detail: str) -> Finding:
    sentence, next_step = say("storage", path=path, detail=f"{detail}.")
    return Finding(Level.ERROR, "storage", sentence, next_step=next_step, cause="storage")


def _nearest(path: Path) -> Path:
    """The path itself, or the closest folder above it that exists: there it would be made."""
    while not os.path.lexists(path):
        path = path.parent
    return path


def _try_out(folder: Path) -> None:
    """Raises OSError that names the folder."""
    probe, content = folder / f".waypost-{secrets.token_hex(8)}", secrets.token_bytes(4096)
    try:
        with os.fdopen(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        kept = probe.read_bytes()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error
    finally:
        probe.unlink(missing_ok=True)
    if kept != content:
        raise OSError(0, "what was written cannot be read back", str(folder))
