"""The first release, so that nginx can start before anything was applied.
May import: agent.config and the parts of agent.nginx below agent.nginx.apply."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from agent.config import AgentConfig
from agent.nginx.bundle import Bundle, BundleFile
from agent.nginx.found import find_nginx
from agent.nginx.layout import Layout
from agent.nginx.machine import detect
from agent.nginx.release import Releases
from agent.nginx.stage import Stager
from agent.nginx.wrapper import NO_REVISION, first_files

_CERTIFICATE = re.compile(r'^\s*ssl_certificate(?:_key)? "?([^";]+)"?;', re.MULTILINE)


def prepare(config: AgentConfig) -> list[str]:
    """Makes folders and, when there is no usable current release, the first one. Returns warnings for people. An
    existing release gets a new wrapper when the machine or the ports have changed, and one that leaves out the hosts
    whose certificate is gone: nginx would not start with them. A running nginx is left alone. Raises OSError."""
    layout = Layout(config.nginx_dir)
    config.state_dir.mkdir(parents=True, exist_ok=True)
    layout.make_folders()
    releases = Releases(layout)
    machine, warnings = detect(config, layout)
    stager = Stager(config, layout, find_nginx(config, layout))
    current = releases.current()
    if current is None and layout.conf.exists():
        return [*warnings, "The current release has lost its manifest; it is left as it is until the next apply."]
    contents: dict[str, bytes] = {}
    if current is None or current.bundle.revision == NO_REVISION:
        contents = {_sha256(text): text.encode() for text in first_files(machine).values()}
        files = tuple(BundleFile(p, _sha256(t), len(t.encode())) for p, t in first_files(machine).items())
        bundle, held = Bundle(NO_REVISION, files), {}
    else:
        bundle, held = current.bundle, releases.held(current)
        if any(file.sha256 not in held for file in bundle.files):
            return [*warnings, "Files of the current release were changed by hand; the next apply replaces them."]
    without = _without_certificate(bundle, held)
    name = releases.stage(bundle, contents, held, lambda folder: stager.wrapper(machine, bundle, folder, without))
    releases.switch(name)
    left_out = [f"{path} names a certificate that is gone: nginx starts without this host." for path in without]
    return [*warnings, *left_out]


def _without_certificate(bundle: Bundle, held: Mapping[str, str]) -> list[str]:
    """The files of hosts that name a certificate or a key that is not there."""
    texts = ((file.path, Path(held[file.sha256]).read_text(errors="replace")) for file in bundle.files if held)
    return [path for path, text in texts if any(not Path(named).exists() for named in _CERTIFICATE.findall(text))]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
