"""A set of configuration files as the panel sends it: paths, hashes and sizes, checked before anything is written.
May import: agent.errors and agent.nginx.directives."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from agent.errors import BundleRefused
from agent.nginx.directives import Policy, check_text

MAX_FILES = 5000
MAX_FILE_BYTES = 256 * 1024
MAX_TOTAL_BYTES = 64 * 1024 * 1024

# The wrapper includes these and nothing else. No file is needed twice, no folder but this one.
REQUIRED = ("http.conf", "default.conf")
_PATH = re.compile(r"http\.conf|default\.conf|hosts/[a-z0-9][a-z0-9._-]*\.conf")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BundleFile:
    """One line of the manifest. `size` is in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Bundle:
    """Every file of one revision; the contents travel apart."""

    revision: str
    files: tuple[BundleFile, ...]


def revision_of(files: tuple[BundleFile, ...]) -> str:
    """The hash over the sorted manifest, as panel and agent both compute it."""
    lines = sorted(f"{file.path} {file.sha256}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check_manifest(bundle: Bundle) -> None:
    """Raises BundleRefused when a path leaves the release, a limit is broken or the revision is not this manifest's."""
    if len(bundle.files) > MAX_FILES:
        raise BundleRefused(f"The bundle has {len(bundle.files)} files; this agent takes {MAX_FILES}.")
    for file in bundle.files:
        _check_file(file)
    paths = {file.path for file in bundle.files}
    if len(paths) != len(bundle.files):
        raise BundleRefused("The bundle names a file twice.")
    missing = next((path for path in REQUIRED if path not in paths), None)
    if missing:
        raise BundleRefused(f"The bundle has no {missing}.")
    if sum(file.size for file in bundle.files) > MAX_TOTAL_BYTES:
        raise BundleRefused(f"The bundle is larger than {MAX_TOTAL_BYTES >> 20} MiB.")
    if revision_of(bundle.files) != bundle.revision:
        raise BundleRefused("The bundle's revision does not belong to its files.")


def check_content(file: BundleFile, data: bytes, policy: Policy) -> None:
    """Raises BundleRefused when the bytes are not the named ones or hold a directive that is not allowed."""
    if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
        raise BundleRefused("The content is not the one that the bundle names.", file.path)
    try:
        check_text(data.decode(), policy)
    except UnicodeDecodeError:
        raise BundleRefused("The file is not UTF-8 text.", file.path) from None
    except BundleRefused as error:
        raise BundleRefused(error.message, file.path, error.line) from None


def _check_file(file: BundleFile) -> None:
    if len(file.path) > 255 or not _PATH.fullmatch(file.path):
        raise BundleRefused(f"The bundle names a file that is not allowed: {file.path[:120]!r}.")
    if not _SHA256.fullmatch(file.sha256):
        raise BundleRefused("The bundle holds something that is not a hash.", file.path)
    if not 0 <= file.size <= MAX_FILE_BYTES:
        raise BundleRefused(f"The file is larger than {MAX_FILE_BYTES >> 10} KiB.", file.path)
