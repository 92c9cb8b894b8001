"""Static files with their hash in the URL, cached for a year, and compressed answers.
May import: Flask."""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, current_app, request, url_for

_COMPRESSIBLE = {"text/html", "text/css", "text/plain", "text/javascript", "image/svg+xml", "application/json"}
_LONG = "public, max-age=31536000, immutable"
_compress = lru_cache(maxsize=64)(lambda body: gzip.compress(body, 9, mtime=0))


def register(app: Flask) -> None:
    """Gives templates `asset()`, and caches and compresses what goes out."""
    app.add_template_global(asset)
    app.after_request(_compress_answer)
    app.after_request(_cache_static)


def asset(filename: str) -> str:
    """The URL of a static file with the hash of its content, so that it may be cached for a year."""
    path = Path(current_app.static_folder or "") / filename
    if current_app.debug:
        _hash_of.cache_clear()
    return url_for("static", filename=filename, v=_hash_of(path))


@lru_cache(maxsize=128)
def _hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


def _cache_static(response: Response) -> Response:
    """Fonts carry their version in the name: a style sheet cannot know hashes."""
    if request.endpoint != "static" or response.status_code not in {200, 304}:
        return response
    is_versioned = "v" in request.args or "/fonts/" in request.path
    response.headers["Cache-Control"] = _LONG if is_versioned else "no-cache"
    return response


def _compress_answer(response: Response) -> Response:
    """Text goes compressed. Session cookies are SameSite=Lax, so no other site can guess at compressed secrets."""
    is_file = request.endpoint == "static" and response.status_code == 200
    if response.mimetype not in _COMPRESSIBLE or response.headers.get("Content-Encoding"):
        return response
    response.vary.add("Accept-Encoding")
    if (response.is_streamed and not is_file) or request.accept_encodings.quality("gzip") <= 0:
        return response
    response.direct_passthrough = False
    body = response.get_data()
    if len(body) < 600:
        return response
    response.set_data(_compress(body) if is_file else gzip.compress(body, 5))
    response.headers["Content-Encoding"] = "gzip"
    etag, _ = response.get_etag()
    if etag:
        response.set_etag(etag, weak=True)
    return response
