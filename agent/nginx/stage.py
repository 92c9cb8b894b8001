"""Everything before the switch: contents are fetched and checked, releases written, files tested. Nothing live changes.
May import: agent.config, agent.failpoints, agent.output and the parts of agent.nginx below agent.nginx.apply."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent import failpoints
from agent.config import AgentConfig
from agent.nginx.bundle import REQUIRED, Bundle, BundleFile, check_content, check_manifest
from agent.nginx.directives import Policy
from agent.nginx.guard import Guard
from agent.nginx.interface import Nginx
from agent.nginx.layout import Layout
from agent.nginx.machine import detect
from agent.nginx.release import Release, Releases
from agent.nginx.trial import Trial, Verdict, try_files
from agent.nginx.words import place
from agent.nginx.wrapper import Machine, render
from agent.output import Output


class ContentSource(Protocol):
    """Where contents come from that this machine does not hold."""

    def fetch(self, sha256s: Sequence[str], guard: Guard) -> dict[str, bytes]:
        """The contents by hash, all of them. Raises AgentError when one cannot be had, and what the guard raises."""


@dataclass(frozen=True)
class Staged:
    """A release that is written and not switched to. `changed` counts the files that the live one does not have;
    `verdict` answers what nginx says of these, or raises what the test of them has raised."""

    name: str
    new_files: int
    warnings: tuple[str, ...]
    replaces_edits: bool
    changed: int
    verdict: Callable[[], Verdict]


class Stager:
    """Writes releases and scratch folders, and tests them."""

    def __init__(self, config: AgentConfig, layout: Layout, nginx: Nginx, releases: Releases | None = None) -> None:
        """`releases` knows which files need not be read again; without it all are read once."""
        self._config = config
        self._layout = layout
        self._nginx = nginx
        self._releases = releases or Releases(layout)
        self._policy = Policy(frozenset({config.http_port, config.https_port}), config.letsencrypt_dir)

    @contextmanager
    def stage(self, bundle: Bundle, source: ContentSource, guard: Guard) -> Iterator[Staged]:
        """Writes the release, and has its changed files tested meanwhile; leaving waits for the end of the test.
        Raises BundleRefused, OSError, and what fetching raises."""
        check_manifest(bundle)
        current = self._releases.current()
        changed = _changed(bundle, current)
        tested = changed | set(REQUIRED)
        few = Bundle(bundle.revision, tuple(file for file in bundle.files if file.path in tested))
        held = self._releases.held(current, {file.sha256 for file in few.files})
        contents = self._fetch(few.files, held, source, guard)
        failpoints.hit("apply:fetched")
        machine, _ = detect(self._config, self._layout)  # its warnings were told when the agent started
        with ThreadPoolExecutor(1, "trial") as beside:
            trial = beside.submit(self._try_few, machine, few, contents, held, guard)
            # Looking at every live file takes as long as the test. Those that are as before come anew only where
            # somebody edited them.
            held = self._releases.held(current)
            contents = contents | self._fetch(bundle.files, held.keys() | contents.keys(), source, guard)
            edits = self._releases.edits(current, held) if current else []
            name = self._releases.stage(bundle, contents, held, lambda folder: self.wrapper(machine, bundle, folder))
            told = tuple(
                f"{path} was edited by hand. The edit is not kept: the agent's page shows it." for path in edits
            )
            yield Staged(name, len(contents), told, bool(edits), len(changed), trial.result)

    def _try_few(
        self, machine: Machine, few: Bundle, contents: Mapping[str, bytes], held: Mapping[str, str], guard: Guard
    ) -> Verdict:
        """In a folder with these files only: it is there long before the release is."""
        with self._releases.scratch(few, contents, held) as folder:
            return try_files(self._trial(machine), folder, [file.path for file in few.files], guard)

    def test(self, bundle: Bundle, source: ContentSource, output: Output, guard: Guard) -> Verdict:
        """Tests a whole bundle and leaves nothing behind. Raises like `stage`, and NginxUnavailable."""
        output.stage("fetch", f"Fetching and checking {len(bundle.files)} files")
        check_manifest(bundle)
        held = self._releases.held(self._releases.current())
        contents = self._fetch(bundle.files, held, source, guard)
        machine, _ = detect(self._config, self._layout)
        with self._releases.scratch(bundle, contents, held) as folder:
            output.stage("test", "Testing the whole configuration with nginx -t")
            verdict = self.try_files(machine, folder, [file.path for file in bundle.files], output, guard)
        if verdict.ok:
            output.succeed("nginx takes the configuration. Nothing was changed.")
        return verdict

    def try_files(self, machine: Machine, folder: Path, paths: Sequence[str], output: Output, guard: Guard) -> Verdict:
        """`nginx -t` of some files of a written release or scratch folder; what nginx says goes to the output."""
        verdict = try_files(self._trial(machine), folder, paths, guard)
        tell(verdict, output)
        return verdict

    def find_refused(self, folder: Path, paths: Sequence[str], guard: Guard) -> Verdict:
        """Tests files of a written release, in this order, without a word to the output."""
        machine, _ = detect(self._config, self._layout)
        return try_files(self._trial(machine), folder, paths, guard)

    def _trial(self, machine: Machine) -> Trial:
        return Trial(self._nginx, self._layout, machine)

    def wrapper(self, machine: Machine, bundle: Bundle, folder: Path, plain: Mapping[str, str] | None = None) -> str:
        """nginx.conf of a release that lies in `folder`; `plain` has what nginx reads in place of files of hosts."""
        hosts = [folder / "hosts" / "*.conf"]
        if plain:
            hosts = [folder / f.path for f in bundle.files if f.path not in REQUIRED and f.path not in plain]
        files = [*(folder / path for path in REQUIRED), *hosts]
        return render(self._layout, machine, bundle.revision, files, plain or {})

    def _fetch(
        self,
        files: Iterable[BundleFile],
        at_hand: Container[str],
        source: ContentSource,
        guard: Guard,
    ) -> dict[str, bytes]:
        """The contents of files whose hash is not at hand, checked."""
        wanted = [file for file in files if file.sha256 not in at_hand]
        contents = source.fetch(list(dict.fromkeys(file.sha256 for file in wanted)), guard) if wanted else {}
        for file in wanted:
            check_content(file, contents.get(file.sha256, b""), self._policy)
        return contents


def _changed(bundle: Bundle, current: Release | None) -> set[str]:
    """The paths of files that the current release does not have like this."""
    known = {file.path: file.sha256 for file in current.bundle.files} if current else {}
    return {file.path for file in bundle.files if known.get(file.path) != file.sha256}


def tell(verdict: Verdict, output: Output) -> None:
    """Writes what nginx said of files to the output."""
    for warning in verdict.warnings:
        output.warn(warning)
    for error in verdict.file_errors:
        output.fail(place(error.path, error.line, error.text))
    if verdict.problem:
        output.fail(verdict.problem)
