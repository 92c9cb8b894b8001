"""Configuration tests: `nginx -t` of some files, again without each refused one, until all refused files are known.
May import: agent.errors, agent.nginx.{controller,guard,layout,words,wrapper}."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent.nginx.bundle import REQUIRED
from agent.nginx.controller import Nginx
from agent.nginx.guard import Guard
from agent.nginx.layout import Layout
from agent.nginx.words import FATAL, FileError, LogLine, locate, place, relative, unique
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
        error = locate(refusal, folder)
        if error is None:
            return replace(verdict, problem=relative(refusal.text, folder, trial.layout.root))
        verdict = replace(verdict, file_errors=(*verdict.file_errors, error))
        if error.path not in hosts:
            return verdict
        hosts.remove(error.path)
    return verdict


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
