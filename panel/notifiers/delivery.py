"""Sends one message by a process of its own: `python -m panel.notifiers.child`.
May import: panel.notifiers.notifier.

Libraries that speak to a hundred services are large, block and cannot be interrupted; the panel is one process in
which all greenlets share one thread and one memory budget. A process is bounded in time, gives its memory back, can be
confined, and cannot take the panel with it. Message and settings go by its standard input: arguments can be read by
every user of the machine.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from panel.notifiers.notifier import Message, NotifierError, Settings

TIMEOUT = 30  # seconds for everything: start, name, connection, answer
_ROOT = Path(__file__).resolve().parents[2]
# What Python and TLS need of the environment. Not the panel's own secrets, and no HOME with a .netrc.
_PASSED = ("PATH", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_COMMAND = (sys.executable, "-B", "-m", "panel.notifiers.child")


def deliver(kind: str, settings: Settings, message: Message, timeout: int = TIMEOUT) -> str:
    """Sends and waits for the answer, up to `timeout` seconds: "" or a remark. Raises NotifierError.

    Call it with no transaction open. Other greenlets go on meanwhile.
    """
    order = {"kind": kind, "settings": dict(settings), "message": asdict(message), "timeout": timeout}
    try:
        done = subprocess.run(
            _COMMAND,
            input=json.dumps(order).encode(),
            capture_output=True,
            timeout=timeout + 2,
            cwd=_ROOT,
            env=_environment(),
        )
    except subprocess.TimeoutExpired:
        raise NotifierError(_slow(timeout)) from None
    if done.returncode == -14:  # SIGALRM: its own clock was faster
        raise NotifierError(_slow(timeout))
    return _read(done)


def _read(done: subprocess.CompletedProcess[bytes]) -> str:
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise NotifierError(_broken(done)) from None
    if answer["error"]:
        raise NotifierError(answer["error"])
    return str(answer["remark"])


def _slow(timeout: int) -> str:
    return f"No answer came within {timeout} seconds. Check that the address is right and that this machine reaches it."


def _broken(done: subprocess.CompletedProcess[bytes]) -> str:
    """Only the name of what was raised: its text may hold a secret."""
    last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    name = re.match(r"[\w.]+", last)
    raised = f", {name.group()}" if name else ""
    return (
        f"The process that sends broke (exit code {done.returncode}{raised}). Look whether Waypost is installed "
        "completely and the machine has memory left."
    )


def _environment() -> dict[str, str]:
    names = (*_PASSED, *_PROXIES, *(name.lower() for name in _PROXIES))
    return {name: os.environ[name] for name in names if name in os.environ}
