"""What Waypost needs of the operating system, and how Debian and Ubuntu install it: said first, then done.
May import: the standard library, because it runs before the virtual environment exists."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Debian keeps nginx in a folder that is not on the PATH of normal users.
SYSTEM_PATH = os.pathsep.join([os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"])
POLICY = Path("/usr/sbin/policy-rc.d")
APT_LISTS = Path("/var/lib/apt/lists")
# What a package would start by itself: at once, at boot, or twice a day.
SERVICES = {
    "nginx": ("nginx.service",),
    "knot": ("knot.service",),
    "bind9": ("named.service",),
    "glewlwyd": ("glewlwyd.service",),
    "certbot": ("certbot.timer",),
    "postgresql": ("postgresql.service",),
    "docker.io": ("docker.service", "docker.socket"),
}


class ProvisionError(Exception):
    """Something that a person must do first; the sentence says what."""


def say(sentence: str) -> None:
    """One calm line on the terminal, at once."""
    print(sentence, flush=True)


def find_program(*names: str) -> str | None:
    """The first of these programs that the machine has, as a path. A snap launcher does not count as a browser."""
    found = (shutil.which(name, path=SYSTEM_PATH) for name in names)
    return next((path for path in found if path and "snap" not in os.path.realpath(path)), None)


def distribution() -> str:
    """The ID of /etc/os-release: "debian", "ubuntu", or "" when unknown."""
    try:
        lines = Path("/etc/os-release").read_text().splitlines()
    except OSError:
        return ""
    values = dict(line.partition("=")[::2] for line in lines if "=" in line)
    return values.get("ID", "").strip('"')


def install(packages: Sequence[str], purpose: str) -> None:
    """Installs Debian packages, after saying so. Raises ProvisionError with the command to type when it may not."""
    command = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if not shutil.which("apt-get"):
        raise ProvisionError(
            f"Waypost needs {', '.join(packages)} {purpose}. This machine has no apt-get: install it with its own "
            "package manager, then run the same command again."
        )
    privilege = _privilege()
    if privilege is None:
        raise ProvisionError(f"Waypost needs {', '.join(packages)} {purpose}. As root, run:\n\n    {command}\n")
    say(f"Installing {', '.join(packages)} {purpose}: {' '.join([*privilege, command])}")
    _require_lists(privilege)
    _apt(privilege, "install", "--no-install-recommends", *packages)


def install_nginx() -> None:
    """Installs nginx as a program only."""
    install_programs(["nginx"], "to serve hosts")
    say("nginx is installed. Its system service stays switched off: Waypost starts its own nginx on its own ports.")


def install_programs(packages: Sequence[str], purpose: str) -> None:
    """As `install`, but the services that the packages bring are neither started nor left enabled."""
    privilege = _privilege()
    with _services_held_back(privilege):
        install(packages, purpose)
    for service in (service for package in packages for service in SERVICES.get(package, ())):
        _disable_service([] if privilege is None else privilege, service)


def knows_package(package: str) -> bool:
    """Whether apt can install it here: not every release has every package. Fetches missing package lists."""
    privilege = _privilege()
    if privilege is None or not shutil.which("apt-get"):
        return False
    _require_lists(privilege)
    found = _run(["apt-cache", "policy", package]).stdout
    return "Candidate:" in found and "Candidate: (none)" not in found


def _disable_service(privilege: list[str], unit: str) -> None:
    """Leaves no start at boot behind, under systemd and without it; tools that are not there have nothing to undo."""
    commands = [
        ["systemctl", "disable", unit],  # edits links, so it needs no systemd that runs
        ["update-rc.d", unit.partition(".")[0], "disable"],
        ["systemctl", "stop", unit],
    ]
    for command in commands:
        if shutil.which(command[0], path=SYSTEM_PATH):
            _run([*privilege, *command])


def _require_lists(privilege: list[str]) -> None:
    if not any(APT_LISTS.glob("*Packages*")):
        say("The package lists are missing: apt-get update comes first.")
        _apt(privilege, "update")


@contextmanager
def _services_held_back(privilege: list[str] | None) -> Iterator[None]:
    """policy-rc.d is Debian's way to install a daemon without starting it; one that exists is left as it is."""
    if privilege is None or POLICY.exists():
        yield
        return
    with tempfile.NamedTemporaryFile("w", suffix=".policy") as policy:
        policy.write("#!/bin/sh\nexit 101\n")
        policy.flush()
        _run([*privilege, "install", "-m", "755", policy.name, str(POLICY)])
    try:
        yield
    finally:
        _run([*privilege, "rm", "-f", str(POLICY)])


def _privilege() -> list[str] | None:
    """What to put before a command that needs root; None when there is no way."""
    if os.geteuid() == 0:
        return []
    if not shutil.which("sudo"):
        return None
    if subprocess.run(["sudo", "-n", "true"], capture_output=True).returncode == 0:
        return ["sudo", "-n"]
    return ["sudo"] if sys.stdin.isatty() else None


def _apt(privilege: list[str], verb: str, *arguments: str) -> None:
    quiet = ["-qq", "-y", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]
    done = _run([*privilege, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *quiet, verb, *arguments])
    if done.returncode and verb == "install":
        say("The package lists may be old: apt-get update, and once more.")
        _apt(privilege, "update")
        done = _run([*privilege, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", *quiet, verb, *arguments])
    if done.returncode:
        raise ProvisionError(f"apt-get {verb} failed:\n{_tail(done.stdout)}")


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Runs quietly; standard input stays with the person, because sudo may ask."""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")


def _tail(text: str, lines: int = 15) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
