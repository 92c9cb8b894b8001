"""Looks at this machine: a binary's version, a process's children and its start.
May import: agent.errors, psutil."""

from __future__ import annotations

import functools
import os
import platform
import re
import subprocess
import time
from pathlib import Path

import psutil

from agent.errors import NginxUnavailable


@functools.lru_cache(maxsize=4)
def read_build(binary: str, _changed_at: int) -> tuple[str, tuple[str, ...]]:
    """Version and --with… arguments of the binary; remembered until the file changes. Raises
    NginxUnavailable."""
    try:
        done = subprocess.run([binary, "-V"], capture_output=True, timeout=10, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NginxUnavailable(f"nginx cannot be run on this machine ({error}).") from None
    return parse_build((done.stderr + done.stdout).decode(errors="replace"))


def parse_build(text: str) -> tuple[str, tuple[str, ...]]:
    """What `nginx -V` printed. Raises NginxUnavailable when it is not that."""
    version = re.search(r"nginx version: \S+?/(\d+(?:\.\d+)+)", text)
    if version is None:
        raise NginxUnavailable("nginx cannot be run on this machine: it does not tell its version.")
    return version[1], tuple(sorted(set(re.findall(r"--(with-[a-z0-9_]+(?:=dynamic)?)(?=\s|$)", text))))


def children(pid: int) -> list[int]:
    """Direct children. The kernel's own list is fast; not every kernel has it."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return [child.pid for child in psutil.Process(pid).children()]


def started_at(pid: int) -> float:
    """When a process was started at the latest, in seconds since the epoch, to a tick; 0.0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - (int(fields[19]) + 1) / os.sysconf("SC_CLK_TCK")
    return time.time() - age


def system_name() -> str:
    """The operating system as people call it."""
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.platform())
    except OSError:
        return platform.platform()
