"""Static files with their hash in the URL, cached for a year, all scripts as one, and compressed answers.
May import: Flask, panel.web.access."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for

from panel.web import access

# In the order in which they run: what extends htmx comes before it starts, what needs it comes after.
SCRIPTS = ("htmx-4.0.1.min.js", "hx-sse-4.0.1.min.js", "tt.js", "app.js", "palette.js")
_STATIC = {"static", "scripts"}
_COMPRESSIBLE = {"text/html", "text/css", "text/plain", "text/javascript", "image/svg+xml", "application/json"}
_LONG = "public, max-age=31536000, immutable"
_compress = lru_cache(maxsize=64)(lambda body: gzip.compress(body, 9, mtime=0))


def register(app: Flask) -> None:
    """Gives templates `asset()` and `scripts_url()`, and caches and compresses what goes out."""
    app.add_url_rule("/static/scripts.js", "scripts", scripts)
    app.add_template_global(asset)
    app.add_template_global(scripts_url)
    app.after_request(_compress_answer)
    app.after_request(_cache_static)


def asset(filename: str) -> str:
    """The URL of a static file with the hash of its content, so that it may be cached for a year."""
    return url_for("static", filename=filename, v=_version(filename))


def scripts_url() -> str:
    """The URL of all scripts together: one request for all, and none of them runs without the others."""
    return url_for("scripts", v=_version(*SCRIPTS))


@access.public
def scripts() -> Response:
    """All scripts as one file."""
    return Response(b"\n;".join(path.read_bytes() for path in _paths(SCRIPTS)), mimetype="text/javascript")


def _version(*filenames: str) -> str:
    if current_app.debug:
        _hash_of.cache_clear()
    return _hash_of(_paths(filenames))


def _paths(filenames: Sequence[str]) -> tuple[Path, ...]:
    return tuple(Path(current_app.static_folder or "") / filename for filename in filenames)


@lru_cache(maxsize=128)
def _hash_of(paths: tuple[Path, ...]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:10]


def _cache_static(response: Response) -> Response:
    """Fonts carry their version in the name: a style sheet cannot know hashes."""
    if request.endpoint not in _STATIC or response.status_code not in {200, 304}:
        return response
    is_versioned = "v" in request.args or "/fonts/" in request.path
    response.headers["Cache-Control"] = _LONG if is_versioned else "no-cache"
    return response


def _compress_answer(response: Response) -> Response:
    """Text goes compressed. Session cookies are SameSite=Lax, so no other site can guess at compressed secrets."""
    is_file = request.endpoint in _STATIC and response.status_code == 200
    if response.mimetype not in _COMPRESSIBLE or response.headers.get("Content-Encoding"):
        return response
    response.vary.add("Accept-Encoding")
    if (response.is_streamed and not is_file) or request.accept_encodings.quality("gzip") <= 0:
        return response
    response.direct_passthrough = False
    body = response.get_data()
    if len(body) < 600:
        return response
    response.set_data(_compress(body) if is_file else gzip.compress(body, 9))
    response.headers["Content-Encoding"] = "gzip"
    etag, _ = response.get_etag()
    if etag:
        response.set_etag(etag, weak=True)
    return response
