"""Which kinds of channels there are: every module of this package that has a NOTIFIER.
May import: panel.notifiers.notifier."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from panel.notifiers.notifier import Notifier


@cache
def kinds() -> dict[str, Notifier]:
    """All of them by kind, in the order of their labels."""
    names = [f"{__package__}.{module.name}" for module in iter_modules([str(Path(__file__).parent)])]
    found = [getattr(import_module(name), "NOTIFIER", None) for name in names]
    known = sorted((one for one in found if isinstance(one, Notifier)), key=lambda one: one.label)
    return {one.kind: one for one in known}
