"""Keeps requirements.txt, the lock of every package of the virtual environment, in step with setup.cfg.
May import: the standard library and packaging."""

from __future__ import annotations

import configparser
import importlib.metadata
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
HEADING = """\
# Every package that Waypost, its tests and its checks install, with the exact version. The direct ones are named in
# setup.cfg; this file is written from the virtual environment by `make lock` and compared by `make check`.
"""


def declared(setup_cfg: Path) -> list[Requirement]:
    """The direct requirements of setup.cfg, extras included."""
    parser = configparser.ConfigParser()
    parser.read(setup_cfg)
    blocks = [parser["options"]["install_requires"], *parser["options.extras_require"].values()]
    return [Requirement(line) for block in blocks for line in block.splitlines() if line.strip()]


def installed_closure(requirements: Iterable[Requirement]) -> dict[str, str]:
    """Name to version of the requirements and all that they need, as installed. Raises PackageNotFoundError."""
    versions: dict[str, str] = {}
    waiting = [(requirement, "") for requirement in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        key = (canonicalize_name(requirement.name), ",".join(sorted(requirement.extras)))
        if key in seen or (requirement.marker and not requirement.marker.evaluate({"extra": extra})):
            continue
        seen.add(key)
        distribution = importlib.metadata.distribution(requirement.name)
        versions[key[0]] = distribution.version
        for line in distribution.requires or []:
            waiting.extend((Requirement(line), wanted) for wanted in ("", *requirement.extras))
    return versions


def compare(setup_cfg: Path, lock: Path) -> list[str]:
    """What does not agree between setup.cfg, requirements.txt and the virtual environment, as sentences."""
    lines = [line for line in lock.read_text().splitlines() if line and not line.startswith("#")]
    locked = {str(canonicalize_name(name)): version for name, _, version in (line.partition("==") for line in lines)}
    wanted = declared(setup_cfg)
    problems = [
        f"{requirement} is in setup.cfg, but requirements.txt has {locked.get(canonicalize_name(requirement.name))}."
        for requirement in wanted
        if not requirement.specifier.contains(locked.get(canonicalize_name(requirement.name), "0"), prereleases=True)
    ]
    for name, version in installed_closure(wanted).items():
        if locked.get(name) != version:
            problems.append(f"{name} {version} is installed, but requirements.txt has {locked.get(name)}.")
    return problems


def render(versions: dict[str, str]) -> str:
    """The text of requirements.txt."""
    return HEADING + "".join(f"{name}=={versions[name]}\n" for name in sorted(versions))


def main(arguments: list[str]) -> int:
    """`write` writes requirements.txt from what is installed, `check` compares; the exit code."""
    setup_cfg, lock = ROOT / "setup.cfg", ROOT / "requirements.txt"
    if arguments == ["write"]:
        lock.write_text(render(installed_closure(declared(setup_cfg))))
        return 0
    problems = compare(setup_cfg, lock)
    print("\n".join(problems) or "setup.cfg and requirements.txt agree.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
