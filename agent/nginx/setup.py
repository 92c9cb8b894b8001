"""The first release, so that nginx can start before anything was applied.
May import: agent.config, agent.errors and the parts of agent.nginx below agent.nginx.apply."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from agent.config import AgentConfig
from agent.errors import BundleRefused
from agent.nginx.bundle import REQUIRED, Bundle, BundleFile
from agent.nginx.found import find_nginx
from agent.nginx.layout import Layout
from agent.nginx.machine import detect
from agent.nginx.plain import make_plain
from agent.nginx.release import Releases
from agent.nginx.stage import Stager
from agent.nginx.wrapper import NO_REVISION, Machine, first_files

_CERTIFICATE = re.compile(r'^\s*ssl_certificate(?:_key)? "?([^";]+)"?;', re.MULTILINE)


def prepare(config: AgentConfig) -> list[str]:
    """Makes folders and, when there is no usable current release, the first one. Returns warnings for people. An
    existing release gets a new wrapper when the machine or the ports have changed, and one in which the hosts whose
    certificate is gone are plain HTTP: nginx would not start otherwise. A running nginx is left alone. Raises
    OSError."""
    layout = Layout(config.nginx_dir)
    config.state_dir.mkdir(parents=True, exist_ok=True)
    layout.make_folders()
    releases = Releases(layout)
    machine, warnings = detect(config, layout)
    stager = Stager(config, layout, find_nginx(config, layout))
    current = releases.current()
    if current is None and layout.conf.exists():
        return [*warnings, "The current release has lost its manifest; it is left as it is until the next apply."]
    if current is None or current.bundle.revision == NO_REVISION:
        contents = {_sha256(text): text.encode() for text in first_files(machine).values()}
        files = tuple(BundleFile(p, _sha256(t), len(t.encode())) for p, t in first_files(machine).items())
        bundle, held, plain = Bundle(NO_REVISION, files), dict[str, str](), dict[str, str]()
    else:
        bundle, held, folder = current.bundle, releases.held(current), layout.release(current.name)
        edited = [file for file in bundle.files if file.sha256 not in held]
        plain = dict(_made_plain(bundle, folder, _listen(machine)))
        if edited:
            warnings.append("Files of the current release were changed by hand; the next apply replaces them.")
            is_whole = all((folder / file.path).is_file() for file in edited)
            if not is_whole or stager.wrapper(machine, bundle, folder, plain) == current.wrapper:
                return warnings
        # What somebody edited goes along as it is: an edit of one host is no reason to leave nginx unable to start.
        contents = {file.sha256: (folder / file.path).read_bytes() for file in edited}
    name = releases.stage(bundle, contents, held, lambda folder: stager.wrapper(machine, bundle, folder, plain))
    releases.switch(name)
    told = [f"{path} names a certificate that is gone: until it is back, this host is plain HTTP." for path in plain]
    return [*warnings, *told]


def _made_plain(bundle: Bundle, folder: Path, listen: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The files of hosts that name a certificate or a key that is not there, and what nginx reads in their place. What
    somebody has edited so that nobody can read it is left to nginx."""
    for path in (file.path for file in bundle.files if file.path not in REQUIRED):
        text = (folder / path).read_text(errors="replace") if (folder / path).is_file() else ""
        if any(not Path(named).exists() for named in _CERTIFICATE.findall(text)):
            with suppress(BundleRefused):
                yield path, make_plain(text, listen)


def _listen(machine: Machine) -> list[str]:
    return [str(machine.http_port), *([f"[::]:{machine.http_port}"] if machine.ipv6 else [])]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
