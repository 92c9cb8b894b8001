"""The newest nginx of Debian, unpacked beside the machine's own and run with the libraries that it was made for.
May import: the standard library only."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

SUITE = "sid"
PACKAGES = ("nginx", "libc6", "libcrypt1", "libssl3t64", "libpcre2-8-0", "libzstd1", "zlib1g")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_LOADER = b"/lib64/ld-linux-x86-64.so.2\0"
_SECONDS = 240


class Unavailable(Exception):
    """Why there is no newer nginx here; the text is for the person who asked for it."""


def newer_nginx(cache: Path) -> Path:
    """A folder with a program `nginx`, to be put first on the PATH. Fetched once, then found in `cache`.

    Raises Unavailable.
    """
    folder = cache / "bin"
    if not (folder / "nginx").exists():
        shutil.rmtree(cache, ignore_errors=True)
        root = cache / "root"
        root.mkdir(parents=True)
        for package in _download(cache / "apt", _mirror()):
            _run("dpkg", "-x", str(package), str(root))
        _make_program(folder, root)
    _loader(cache / "root").unlink(missing_ok=True)
    _loader(cache / "root").symlink_to(cache / "root" / _LIBRARIES / "ld-linux-x86-64.so.2")
    return folder


def _mirror() -> str:
    """The archive that this machine's own apt uses; none is written anywhere here."""
    if platform.machine() != "x86_64" or not shutil.which("apt-get"):
        raise Unavailable("this is not a Debian machine with an amd64 processor")
    targets = _run("apt-get", "indextargets", "--format", "$(REPO_URI) $(SUITE) $(COMPONENT)").splitlines()
    found = [line.split() for line in targets]
    uris = [uri for uri, suite, component in found if component == "main" and "security" not in f"{suite}{uri}"]
    if not uris or not KEYRING.exists():
        raise Unavailable("apt names no Debian archive on this machine, or its keyring is missing")
    return uris[0]


def _download(apt: Path, mirror: str) -> list[Path]:
    """The packages, checked by apt, with lists and a cache of its own: the machine's apt is left as it is."""
    for folder in ("lists/partial", "cache/archives/partial", "packages"):
        (apt / folder).mkdir(parents=True)
    sources = f"Types: deb\nURIs: {mirror}\nSuites: {SUITE}\nComponents: main\nSigned-By: {KEYRING}\n"
    (apt / "newer.sources").write_text(sources)
    (apt / "apt.conf").write_text(
        f'Dir::Etc::sourcelist "{apt}/newer.sources";\nDir::Etc::sourceparts "-";\nDir::State::lists "{apt}/lists";\n'
        f'Dir::Cache "{apt}/cache";\nDir::State::status "/var/lib/dpkg/status";\nAPT::Sandbox::User "";\n'
    )
    _run("apt-get", "-c", f"{apt}/apt.conf", "-q", "update")
    wanted = [f"{name}/{SUITE}" for name in PACKAGES]
    _run("apt-get", "-c", f"{apt}/apt.conf", "-q", "download", *wanted, folder=apt / "packages")
    return sorted((apt / "packages").glob("*.deb"))


def _loader(root: Path) -> Path:
    """A short path to the loader: the program has room for 27 bytes."""
    return Path("/tmp") / f"newer-{root.stat().st_ino}"


def _make_program(folder: Path, root: Path) -> None:
    """nginx with another path to its loader: started through the loader, its process would not bear its own name."""
    program, loader = root / "usr/sbin/nginx", str(_loader(root)).encode()
    image = program.read_bytes()
    if _LOADER not in image or len(loader) >= len(_LOADER):
        raise Unavailable("the newer nginx is not made as expected")
    program.write_bytes(image.replace(_LOADER, loader.ljust(len(_LOADER), b"\0"), 1))
    folder.mkdir()
    script = folder / "nginx"
    script.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH="{root / _LIBRARIES}" exec "{program}" "$@"\n')
    script.chmod(0o755)


def _run(*command: str, folder: Path | None = None) -> str:
    """Raises Unavailable with the last words of a program that failed."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, cwd=folder)
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} took longer than {_SECONDS} s") from None
    if ran.returncode:
        said = (ran.stderr.strip() or ran.stdout.strip()).splitlines()
        raise Unavailable(f"{' '.join(command[:1])} failed: {said[-1] if said else 'without a word'}")
    return ran.stdout
