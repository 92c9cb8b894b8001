"""Asks the panel of this container whether it is well: exit code 0, or 1 with its words. For a health check.
May import: the standard library only."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request

SECONDS = 4


def main() -> int:
    """Prints what is wrong."""
    address = f"http://127.0.0.1:{os.environ.get('PANEL_PORT', '7800')}/healthz"
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer:
            print(answer.read().decode(errors="replace"))
    except urllib.error.HTTPError as error:
        print(error.read().decode(errors="replace"))
        return 1
    except OSError as error:
        print(f"The panel does not answer: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
