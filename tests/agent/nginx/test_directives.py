"""The allow-list: what the panel's files hold passes, everything else is refused with its line.
May import: agent."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import BundleRefused
from agent.nginx.directives import Policy, check_text
from agent.nginx.tokens import parse

POLICY = Policy(frozenset({7880, 7443}), Path("/etc/letsencrypt"))
GOLDEN = Path(__file__).parents[2] / "panel" / "nginx" / "golden"


def in_server(line: str) -> str:
    return f"server {{\n    listen 7880;\n    {line}\n}}\n"


def in_location(line: str) -> str:
    return in_server(f"location / {{ {line} }}")


@pytest.mark.parametrize("path", sorted(GOLDEN.rglob("*.conf")), ids=lambda path: path.name)
def test_every_golden_file_of_the_panel_is_allowed(path: Path) -> None:
    text = path.read_text()
    ports = {
        int(word.rsplit(":", 1)[-1])
        for d in parse(text)
        for x in d.block or []
        if x.name == "listen"
        for word in x.args[:1]
    }
    check_text(text, Policy(frozenset(ports), Path("/etc/letsencrypt")))


@pytest.mark.parametrize(
    "text",
    [
        in_server("listen [::]:7443 ssl http2;"),
        in_server('server_name a.example *.b.example _ "";'),
        in_server("ssl_certificate /etc/letsencrypt/live/a.example/fullchain.pem;"),
        in_server("ssl_session_cache shared:waypost:10m;"),
        in_location("proxy_pass http://waypost_12;"),
        in_location("set $upstream_host app.internal; proxy_pass https://$upstream_host:8443;"),
        in_location("proxy_pass http://[::1]:3000$request_uri;"),
        in_location("return 301 https://$host$request_uri;"),
        in_server(r"location ~ ^/(?!\.well-known/acme-challenge/) { return 404; }"),
        in_server("if ($waypost_insecure) { return 301 https://$host:7443$request_uri; }"),
        in_location('add_header X-A "a; b { c }" always;'),
        "upstream waypost_1 { zone waypost_1 64k; server app:3000 resolve; keepalive 16; }",
        'map $http_upgrade $waypost_connection { default upgrade; "" ""; "~*^(on|off)$" x; }',
        "# a comment with } and ; and { in it\nserver_tokens off;",
    ],
)
def test_what_a_panel_needs_is_allowed(text: str) -> None:
    check_text(text, POLICY)


@pytest.mark.parametrize(
    "text",
    [
        "include /etc/passwd;",
        "load_module /tmp/x.so;",
        "env LD_PRELOAD;",
        "events { }",
        "http { }",
        "perl_modules /tmp;",
        "js_import x.js;",
        "access_log /tmp/x;",
        "error_log /etc/cron.d/x;",
        "client_body_temp_path /tmp;",
        "proxy_cache_path /tmp keys_zone=x:1m;",
        "ssl_engine x;",
        "resolver 6.6.6.6;",
        'log_format x "y";',
        in_server("root /;"),
        in_server("alias /;"),
        in_server("include x;"),
        in_server("location ~ x { return 200; }"),
        in_server(r"location ~ ^/(?!\.well-known/) { return 200; }"),
        in_server(r"location ~* ^/(?!\.well-known/acme-challenge/) { return 200; }"),
        in_server("if ($host) { return 200; }"),
        in_server("if ($waypost_insecure) { return 200 x; }"),
        in_server("if ($waypost_insecure) { return 301 https://evil.example$request_uri; }"),
        in_server("if ($waypost_insecure) { set $upstream_x y; }"),
        in_server("if ($waypost_insecure = x) { return 301 https://$host$request_uri; }"),
        in_location("if ($waypost_insecure) { return 301 https://$host$request_uri; }"),
        in_server("rewrite ^ /x;"),
        in_server("server_name ~^(?<upstream_host>.*)$;"),
        in_server("listen 22;"),
        in_server("listen unix:/tmp/x;"),
        in_server("listen 127.0.0.1:7803;"),
        in_server("listen 7880 setfib=1;"),
        in_server("ssl_certificate /etc/shadow;"),
        in_server("ssl_certificate /etc/letsencrypt/../shadow;"),
        in_server("ssl_certificate $host;"),
        in_server("ssl_certificate_key engine:x:y;"),
        in_server("ssl_certificate_key data:x;"),
        in_server("set $host x;"),
        in_server("set $upstream_host unix:/run/docker.sock;"),
        in_server("set $upstream_host $arg_x;"),
        in_server("server { }"),
        in_location("proxy_pass http://unix:/run/docker.sock:/;"),
        in_location("proxy_pass http://UNIX:/run/docker.sock;"),
        in_location('proxy_pass "http://unix:/run/docker.sock";'),
        in_location("proxy_pass http://$arg_x;"),
        in_location("proxy_pass $upstream_host;"),
        in_location("proxy_pass ht\\tp://x;"),
        in_location("proxy_pass http://${upstream_host}$arg_x;"),
        in_location("proxy_store /tmp/x;"),
        in_location("proxy_ssl_certificate /etc/x;"),
        in_location("content_by_lua_block { x }"),
        in_location("fastcgi_pass unix:/x;"),
        in_location("return 200 { }"),
        "upstream waypost_1 { server unix:/run/x; }",
        "upstream other { server a:1; }",
        "map $a $upstream_host { default unix; }",
        'map $http_x $y { "~(?<upstream_host>.*)" 1; }',
        "map $a $b { include /etc/passwd; }",
        'map $a $b { "include" /etc/passwd; }',
        "map $a $b { volatile { } }",
    ],
)
def test_what_could_leave_the_folders_or_run_something_is_refused(text: str) -> None:
    with pytest.raises(BundleRefused):
        check_text(text, POLICY)


@pytest.mark.parametrize(
    "text",
    [
        "server {",
        "}",
        "server_tokens off",
        'return "x',
        "return 'x'y;",
        ";",
        "a\rb;",
        "a\x00;",
        "a\u2028b;",
        "{ }",
        "x{{{{{{{",
    ],
)
def test_broken_text_is_refused(text: str) -> None:
    with pytest.raises(BundleRefused):
        check_text(text, POLICY)


def test_the_line_of_a_refusal_is_told() -> None:
    with pytest.raises(BundleRefused) as refused:
        check_text('map $a $b {\n    "multi\nline" x;\n}\n\ninclude x;\n', POLICY)
    assert refused.value.line == 6
    assert refused.value.message == "include: this directive is not allowed here."


def test_words_are_read_as_nginx_reads_them() -> None:
    (directive,) = parse(r"""add_header "a\"b" 'c\'d' ${x}y e\;f g}h i#j "${k" # tail
    ;""")
    assert directive.args == ('a"b', "c'd", "${x}y", r"e\;f", "g}h", "i#j", "${k")
