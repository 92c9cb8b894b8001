"""The direct requirements of setup.cfg; as a program it prints those of an extra, for whoever builds an image.
May import: the standard library, because it runs before anything is installed."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Sequence
from pathlib import Path

SETUP_CFG = Path("setup.cfg")


def direct(setup_cfg: Path, extras: Sequence[str]) -> list[str]:
    """What every part needs, and what these extras add, as pip reads it ("flask==3.1.3")."""
    parser = configparser.ConfigParser()
    parser.read(setup_cfg)
    blocks = [parser["options"]["install_requires"]]
    blocks += [parser["options.extras_require"][extra] for extra in extras]
    lines = [line.strip().replace(" ", "") for block in blocks for line in block.splitlines() if line.strip()]
    return list(dict.fromkeys(lines))


if __name__ == "__main__":
    print("\n".join(direct(SETUP_CFG, sys.argv[1:])))
