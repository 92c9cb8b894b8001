"""Headers, cookies, caching and weight."""

from __future__ import annotations

import gzip
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from panel.models import User
from panel.web.security import CONTENT_SECURITY_POLICY
from tests.conftest import login

GZIP = {"Accept-Encoding": "gzip"}
PAGES = ["/login", "/setup", "/jobs", "/account", "/nothing", "/jobs/none", "/logout", "/static/app.js", "/"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_answer_carries_the_headers(client: FlaskClient, alice: User, path: str, method: str) -> None:
    login(client, alice)
    with client.open(path, method=method) as response:
        headers = response.headers
    assert headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_the_policy_has_no_exception() -> None:
    for word in ("unsafe", "nonce", "data:", "blob:", "*", "http"):
        assert word not in CONTENT_SECURITY_POLICY
    assert "default-src 'none'" in CONTENT_SECURITY_POLICY
    assert "require-trusted-types-for 'script'" in CONTENT_SECURITY_POLICY


def test_pages_are_never_stored(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    assert client.get("/jobs").headers["Cache-Control"] == "no-store"


def test_static_files_with_their_hash_are_cached_for_a_year(client: FlaskClient) -> None:
    urls = re.findall(r'(?:href|src)="(/static/[^"#]+)', client.get("/login").text)
    assert urls
    for url in urls:
        response = client.get(url)
        assert response.status_code == 200
        assert "immutable" in response.headers["Cache-Control"]
        assert "Set-Cookie" not in response.headers
        response.close()


def test_a_static_file_without_its_hash_is_asked_for_again(client: FlaskClient) -> None:
    with client.get("/static/app.js") as response:
        assert response.headers["Cache-Control"] == "no-cache"
    with client.get("/static/app.js", headers={"If-None-Match": response.headers["ETag"]}) as again:
        assert again.status_code == 304


def test_text_is_compressed_for_who_understands_it(client: FlaskClient) -> None:
    with client.get("/static/panel.css") as plain, client.get("/static/panel.css", headers=GZIP) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.data) == plain.data
        assert "Content-Encoding" not in plain.headers
        assert "Accept-Encoding" in packed.headers["Vary"]


def test_the_first_page_is_light(client: FlaskClient, alice: User) -> None:
    login(client, alice)
    page = client.get("/jobs", headers=GZIP)
    html = gzip.decompress(page.data).decode()
    urls = set(re.findall(r'(?:href|src)="(/static/[^"#]+)', html)) | {"/static/fonts/plex-mono-v1.woff2"}
    size = len(page.data)
    for url in urls:
        with client.get(url, headers=GZIP) as response:
            size += len(response.data)
    assert size <= 100 * 1024
    assert len(urls) + 1 <= 12


def test_a_chosen_theme_is_in_the_page_and_needs_no_script(client: FlaskClient) -> None:
    response = client.post("/theme", data={"theme": "dark"}, headers={"Referer": "http://localhost/login"})
    assert response.location == "/login"
    assert '<html lang="en" data-theme="dark">' in client.get("/login").text


@pytest.mark.parametrize("theme", ["", "blue", 'dark"><script>'])
def test_an_unknown_theme_is_ignored(client: FlaskClient, theme: str) -> None:
    client.post("/theme", data={"theme": theme})
    client.set_cookie("theme", theme)
    assert '<html lang="en">' in client.get("/login").text


def test_the_theme_form_leads_to_no_other_site(client: FlaskClient) -> None:
    response = client.post("/theme", data={"theme": "dark"}, headers={"Referer": "http://evil.example/x"})
    assert response.location == "/"


def test_secure_cookies_follow_the_setting(app: Flask) -> None:
    assert app.config["SESSION_COOKIE_HTTPONLY"] is True
    assert app.config["SESSION_COOKIE_SAMESITE"] == "Lax"
    assert app.config["SESSION_COOKIE_SECURE"] is False
