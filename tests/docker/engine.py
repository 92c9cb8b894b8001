"""A real Docker Engine for tests, and base images for a machine that reaches no registry.
May import: the standard library, psutil and panel.embedded."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from panel.embedded.system_packages import find_program
from tests.product import wait_until

BASE = "debian:trixie-slim"
NGINX = "nginx:stable"
_NGINX_FILE = f"""
FROM {BASE}
RUN apt-get update && apt-get install -y --no-install-recommends nginx && rm -rf /var/lib/apt/lists/* \\
 && useradd --system --uid 101 nginx
STOPSIGNAL SIGQUIT
CMD ["nginx", "-g", "daemon off;"]
"""


_running: dict[str, tuple[Path, subprocess.Popen[bytes]]] = {}


@contextmanager
def running_engine(folder: Path) -> Iterator[str]:
    """An Engine of its own, whose images stay in `folder` for the next run; the address of its socket.

    An Engine that the environment names (DOCKER_HOST) is used as it is.
    """
    given = os.environ.get("DOCKER_HOST", "")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="wp-docker-") as run:
        host = f"unix://{run}/docker.sock"
        _running[host] = folder, start_engine(folder, Path(run))
        try:
            yield host
        finally:
            _stop(host)
            # Docker leaves the network namespace of containers without one of their own mounted.
            subprocess.run(["umount", "--lazy", f"{run}/exec/netns/default"], capture_output=True)


def restart_engine(host: str) -> bool:
    """As `systemctl restart docker` does it. False for an Engine that these tests did not start."""
    if host not in _running:
        return False
    folder = _stop(host)
    _running[host] = folder, start_engine(folder, Path(host.removeprefix("unix://")).parent)
    return True


def _stop(host: str) -> Path:
    folder, process = _running.pop(host)
    process.terminate()
    process.wait(60)
    return folder


def start_engine(folder: Path, run: Path) -> subprocess.Popen[bytes]:
    """Starts dockerd and returns when it answers. Its log is `<run>/dockerd.log`."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        find_program("dockerd") or "dockerd",
        *("--data-root", str(folder), "--exec-root", str(run / "exec"), "--pidfile", str(run / "dockerd.pid")),
        *("--host", f"unix://{run}/docker.sock"),
    ]
    with (run / "dockerd.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)

    def answers() -> bool:
        if process.poll() is not None:
            raise AssertionError(f"dockerd ended:\n{(run / 'dockerd.log').read_text()[-2000:]}")
        return docker(f"unix://{run}/docker.sock", "info", check=False).returncode == 0

    wait_until(answers, "dockerd answers")
    return process


def docker(host: str, *arguments: str, check: bool = True, text: str = "") -> subprocess.CompletedProcess[str]:
    """Docker's command line, for the tests' own hands only. Raises AssertionError with its words."""
    done = subprocess.run(
        ["docker", "--host", host, *arguments], input=text, capture_output=True, text=True, timeout=900
    )
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(arguments)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done


def has_image(host: str, name: str) -> bool:
    """Whether the Engine has an image of this name."""
    return docker(host, "image", "inspect", name, check=False).returncode == 0


def make_base_image(host: str) -> None:
    """A Debian of nothing but its own packages, under the name that the Dockerfile begins with."""
    if has_image(host, BASE):
        return
    with tempfile.TemporaryDirectory(prefix="wp-base-") as name:
        root = Path(name) / "root"
        _run("debootstrap", "--variant=minbase", "trixie", str(root))
        for heavy in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
            shutil.rmtree(root / heavy, ignore_errors=True)
        _trust_what_this_machine_trusts(root)
        archive = Path(name) / "base.tar"
        _run("tar", "-C", str(root), "-cf", str(archive), ".")
        docker(host, "import", str(archive), BASE)


def make_nginx_image(host: str) -> None:
    """What the official image is for Waypost: nginx in the foreground on a Debian, with its user and its folders."""
    if has_image(host, NGINX):
        return
    make_base_image(host)
    docker(host, "build", "--network", "host", "-t", NGINX, "-", text=_NGINX_FILE)


def _trust_what_this_machine_trusts(root: Path) -> None:
    """A network that checks TLS itself has a certificate of its own, which pip in a build must trust too."""
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if bundle.exists():
        shutil.copy(bundle, root / "etc/trusted.crt")  # not where the package ca-certificates writes its own
        (root / "etc/pip.conf").write_text("[global]\ncert = /etc/trusted.crt\n")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"{' '.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
