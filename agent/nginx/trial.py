"""Configuration tests: `nginx -t` of some files, again without each refused one, until all refused files are known.
May import: agent.errors, agent.nginx.{bundle,guard,interface,layout,words,wrapper}."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.nginx.bundle import REQUIRED
from agent.nginx.guard import Guard
from agent.nginx.interface import Nginx
from agent.nginx.layout import Layout
from agent.nginx.words import FATAL, FileError, LogLine, explain, locate, place, relative, unique
from agent.nginx.wrapper import Machine, render_test

MAX_ROUNDS = 20


@dataclass(frozen=True)
class Verdict:
    """What nginx says of the files. `problem` is set when it refuses them without naming a file of the bundle."""

    file_errors: tuple[FileError, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether nginx takes every file."""
        return not self.file_errors and not self.problem


@dataclass(frozen=True)
class Trial:
    """With what files are tested."""

    nginx: Nginx
    layout: Layout
    machine: Machine


def try_files(trial: Trial, folder: Path, paths: Sequence[str], guard: Guard) -> Verdict:
    """Tests bundle files below `folder` together with http.conf and default.conf. Touches nothing live."""
    verdict = Verdict()
    hosts = [path for path in paths if path not in REQUIRED]
    for _ in range(MAX_ROUNDS):
        lines = _run(trial, folder, [*REQUIRED, *hosts], guard)
        verdict = replace(verdict, warnings=_texts(lines, {"warn"}, folder, trial.layout))
        refusal = next((line for line in lines if line.level in FATAL), None)
        if refusal is None:
            return verdict
        errors = _errors(trial, folder, hosts, refusal, guard)
        if not errors:
            return replace(verdict, problem=relative(refusal.text, folder, trial.layout.root))
        verdict = replace(verdict, file_errors=(*verdict.file_errors, *errors))
        refused = {error.path for error in errors}
        if not refused <= set(hosts):
            return verdict
        hosts = [path for path in hosts if path not in refused]
    return verdict


def _errors(trial: Trial, folder: Path, hosts: Sequence[str], refusal: LogLine, guard: Guard) -> list[FileError]:
    """The files that one refusal is about. nginx names no place when it cannot load a file that a host needs."""
    located = locate(refusal, folder)
    if located is not None:
        return [located]
    text = explain(relative(refusal.text, folder, trial.layout.root))
    mentioned = [FileError(path, line, text) for path in hosts for line in _mentions(folder / path, refusal.text)]
    return mentioned or _bisect(trial, folder, hosts, text, guard)


def _mentions(file: Path, text: str) -> list[int]:
    """The first line of the file that holds a path which the text names in quotes; empty when none does."""
    named = re.findall(r'"(/[^"]+)"', text)
    lines = enumerate(file.read_text().splitlines(), 1) if named else ()
    return [number for number, line in lines if any(path in line for path in named)][:1]


def _bisect(trial: Trial, folder: Path, hosts: Sequence[str], text: str, guard: Guard) -> list[FileError]:
    """The file with which the refusal begins; none when nginx refuses without any host too."""

    def is_refused(count: int) -> bool:
        lines = _run(trial, folder, [*REQUIRED, *hosts[:count]], guard)
        return any(line.level in FATAL for line in lines)

    fine, refused = 0, len(hosts)
    if refused == 0 or is_refused(0):
        return []
    while refused - fine > 1:
        middle = (fine + refused) // 2
        fine, refused = (fine, middle) if is_refused(middle) else (middle, refused)
    return [FileError(hosts[refused - 1], 0, text)]


def _run(trial: Trial, folder: Path, paths: Sequence[str], guard: Guard) -> list[LogLine]:
    scratch = trial.layout.test
    conf = scratch / "nginx.conf"
    conf.write_text(render_test(trial.layout, trial.machine, scratch, [folder / path for path in paths]))
    report = trial.nginx.test(conf, guard)
    refused = any(line.level in FATAL for line in report.lines)
    if not report.ok and not refused:
        return [*report.lines, LogLine("emerg", 0, "nginx refused the configuration and gave no reason")]
    # An [alert] of a test that nginx passed is about the machine and not about a file.
    return [LogLine("warn", 0, x.text) if report.ok and x.level in FATAL else x for x in report.lines]


def _texts(lines: Sequence[LogLine], levels: set[str], folder: Path, layout: Layout) -> tuple[str, ...]:
    return tuple(unique(relative(line.text, folder, layout.root) for line in lines if line.level in levels))


def describe(verdict: Verdict) -> str:
    """One sentence of what nginx refused."""
    if not verdict.file_errors:
        return f"nginx refused the configuration: {verdict.problem}"
    first, more = verdict.file_errors[0], len(verdict.file_errors) - 1
    rest = f" ({more} more files are refused too)" if more > 1 else " (one more file is refused too)" if more else ""
    return f"nginx refuses {place(first.path, first.line, first.text)}{rest}"
