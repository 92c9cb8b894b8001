"""Makes a fresh machine ready: the virtual environment with its pinned packages, nginx, Pebble, and what tests need.
May import: the standard library, panel.embedded.{requirements,system_packages}: it runs with the system's Python."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from panel.embedded.requirements import direct
from panel.embedded.system_packages import (
    ProvisionError,
    distribution,
    find_program,
    install,
    install_nginx,
    install_programs,
    knows_package,
    say,
)

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(os.environ.get("WAYPOST_VENV") or ROOT / ".venv")
STAMP = VENV / "waypost-stamp.json"
LOCK = ROOT / "requirements.txt"
LOWEST_PYTHON = (3, 11)

# What each purpose installs: extras of setup.cfg, and programs of the machine.
EXTRAS: dict[str, list[str]] = {
    "run": ["panel", "agent"],
    "test": ["panel", "agent", "test"],
    "check": ["panel", "agent", "test", "check"],
    "bench": ["panel", "agent", "test"],
    "docker": ["panel", "agent", "test"],
}
NEEDS_NGINX = {"run", "test", "bench", "docker"}
NEEDS_CHROMIUM = {"test", "bench"}
NEEDS_TEST_AUTHORITY = {"run", "test", "bench"}
# Package to program: what tests speak to, and what measurements compare with.
COUNTERPARTS = {
    "test": {
        "postgresql": "pg_ctlcluster",
        "knot": "knotd",
        "bind9": "named",
        "certbot": "certbot",
        "openssl": "openssl",
        "glewlwyd": "glewlwyd",
    },
    "bench": {"certbot": "certbot", "lego": "lego"},
}
# The Engine, what makes its base image where no registry answers, and what reads compose.yaml.
DOCKER = {"docker.io": "dockerd", "debootstrap": "debootstrap"}
COMPOSE_PACKAGES = ("docker-compose", "docker-compose-v2")


def provision(purpose: str) -> None:
    """Everything that `purpose` needs is there afterwards. Raises ProvisionError with what a person must do."""
    _require_python()
    key, installed = _key(), _installed()
    if not _venv_works():
        _make_venv()
        installed = {}
    if installed.get(purpose) != key:
        _install_requirements(purpose)
        STAMP.write_text(json.dumps({**installed, purpose: key}))
    if purpose in NEEDS_NGINX and not find_program(os.environ.get("AGENT_NGINX_BINARY") or "nginx"):
        install_nginx()
    if purpose in NEEDS_TEST_AUTHORITY:
        _offer_pebble(purpose)
    programs = COUNTERPARTS.get(purpose, {})
    if missing := [package for package, program in programs.items() if not find_program(program)]:
        install_programs(missing, "for tests and measurements (their services stay switched off)")
    if purpose == "docker":
        _install_docker()
    if purpose in NEEDS_CHROMIUM and not _has_chromium():
        _install_chromium()


def _require_python() -> None:
    if sys.version_info < LOWEST_PYTHON:
        raise ProvisionError(
            f"Waypost needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}. "
            "Install a newer one and name it: make run PYTHON=python3.12"
        )


def _requirements(purpose: str) -> list[str]:
    """The direct requirements of one purpose, as setup.cfg has them."""
    return direct(ROOT / "setup.cfg", EXTRAS[purpose])


def _key() -> str:
    """Changes when a pin or the Python changes: then pip must look again."""
    pins = "\n".join([sys.version, LOCK.read_text(), *(line for name in EXTRAS for line in _requirements(name))])
    return hashlib.sha256(pins.encode()).hexdigest()


def _installed() -> dict[str, str]:
    """Purpose to key: what the virtual environment holds already."""
    try:
        return dict(json.loads(STAMP.read_text()))
    except (OSError, ValueError):
        return {}


def _venv_works() -> bool:
    """Whether the environment's Python starts and has pip (an upgraded system Python breaks it)."""
    python = VENV / "bin" / "python"
    command = [str(python), "-c", "import importlib.util as u, sys; sys.exit(u.find_spec('pip') is None)"]
    return python.exists() and subprocess.run(command, capture_output=True).returncode == 0


def _make_venv() -> None:
    # Debian's Python comes in pieces: the module venv is there, what it unpacks pip from is not.
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        install([f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"], "to make a virtual environment")
    say(f"Making a virtual environment in {VENV}.")
    done = subprocess.run([sys.executable, "-m", "venv", "--clear", str(VENV)], capture_output=True, text=True)
    if done.returncode:
        raise ProvisionError(f"The virtual environment could not be made:\n{(done.stdout + done.stderr).strip()}")


def _install_requirements(purpose: str) -> None:
    requirements = _requirements(purpose)
    say(f"Installing {len(requirements)} Python packages and what they need, all pinned. This takes about a minute.")
    started = time.monotonic()
    pip = [
        str(VENV / "bin" / "python"),
        "-m",
        "pip",
        "--require-virtualenv",
        "--disable-pip-version-check",
        "--no-input",
    ]
    done = subprocess.run([*pip, "install", "--quiet", "--constraint", str(LOCK), *requirements])
    if done.returncode:
        raise ProvisionError("pip could not install them; its own words are above. Often it is the network or a proxy.")
    say(f"Python packages are installed ({time.monotonic() - started:.0f} s).")


def _offer_pebble(purpose: str) -> None:
    """Pebble where it can be had. It is in Debian since 12 and in Ubuntu since 24.04; without it a run goes on, with no
    authority that gives certificates to a laptop."""
    switched_off = purpose == "run" and os.environ.get("WAYPOST_TEST_AUTHORITY", "").strip().lower() == "off"
    if switched_off or (find_program("pebble") and find_program("pebble-challtestsrv")):
        return
    if not knows_package("pebble"):
        return
    try:
        install_programs(["pebble"], "as the certificate authority of this machine (WAYPOST_TEST_AUTHORITY=off: none)")
    except ProvisionError as error:
        say(str(error))
        say("Going on without it: there will be no test authority.")


def _install_docker() -> None:
    """An Engine that DOCKER_HOST names is used as it is. The tests start one of their own, which needs root."""
    if os.geteuid() != 0 and not os.environ.get("DOCKER_HOST"):
        raise ProvisionError("The tests start a Docker Engine: run them as root, or name one with DOCKER_HOST.")
    missing = [package for package, program in DOCKER.items() if not find_program(program)]
    if missing:
        install_programs(missing, "for tests against a real Docker Engine")
    plugin = [find_program("docker") or "docker", "compose", "version"]
    if find_program("docker-compose") or subprocess.run(plugin, capture_output=True).returncode == 0:
        return
    package = next((one for one in COMPOSE_PACKAGES if knows_package(one)), COMPOSE_PACKAGES[0])
    install_programs([package], "to start compose.yaml in tests")


def _has_chromium() -> bool:
    cache = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    return find_program("chromium", "chromium-browser", "google-chrome") is not None or any(cache.glob("chromium*"))


def _install_chromium() -> None:
    """Debian has a package. Ubuntu's is a snap that no test can drive, so there Playwright's own build is taken."""
    if distribution() == "debian":
        install(["chromium"], "for the tests in a real browser")
        return
    arguments = ["install", *(["--with-deps"] if os.geteuid() == 0 else []), "chromium"]
    say(f"Installing Chromium for the tests in a real browser: playwright {' '.join(arguments)}")
    done = subprocess.run([str(VENV / "bin" / "python"), "-m", "playwright", *arguments], stdout=subprocess.DEVNULL)
    if done.returncode:
        raise ProvisionError("Playwright could not install Chromium; its own words are above.")


def main(arguments: list[str]) -> int:
    """`run`, `test`, `check`, `bench` or `docker`; the exit code: 0 ready, 2 a person must do something first."""
    if len(arguments) != 1 or arguments[0] not in EXTRAS:
        say(f"Usage: python3 -m panel.embedded.provision {'|'.join(EXTRAS)}")
        return 2
    try:
        provision(arguments[0])
    except ProvisionError as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        say("Stopped. The next run continues here.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
