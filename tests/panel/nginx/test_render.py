"""Golden files, each of them read by the real nginx and by the agent's allow-list; and the renderer's guard.

WAYPOST_UPDATE_GOLDEN=1 writes the files anew; look at the difference before you keep it.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from agent.nginx import wrapper
from agent.nginx.directives import Policy, check_text
from agent.nginx.layout import Layout
from panel.models import ProxyHost
from panel.nginx import render
from panel.nginx.bundle import ConfigBundle, ConfigFile, revision_of
from panel.nginx.locate import locate_field
from panel.nginx.render import CertificateFiles, NginxFacts, Tls, UnsafeValue, quote
from tests.panel.nginx.hosts import NEW, OLD, host
from tests.panel.nginx.servers import free_port, make_certificate, nginx_version, run_test

GOLDEN = Path(__file__).parent / "golden"
POLICY = Policy(ports=frozenset({8080, 8443}), certificate_dir=Path("/etc/letsencrypt"))
LONG_NAME = ".".join(["a" * 63] * 3 + ["b" * 61])
MANY_NAMES = [f"n{number:02}{LONG_NAME[3:]}" for number in range(100)]

HOSTS: dict[str, tuple[ProxyHost, NginxFacts]] = {
    "address": (host(), OLD),
    "address-websocket": (host(websocket=True), OLD),
    "address-ipv6": (host(forward_host="fd00::5", domain_names=["app.example.com", "www.example.com"]), OLD),
    "address-https": (host(forward_scheme="https", forward_port=443), OLD),
    "localhost": (host(forward_host="localhost"), OLD),
    "name": (host(forward_host="app_1"), OLD),
    "name-https": (host(forward_scheme="https", forward_host="backend.example.net", websocket=True), OLD),
    "name-resolved-in-group": (host(forward_host="app_1"), NEW),
    "wildcard": (host(domain_names=["*.xn--bcher-kva.example", "xn--bcher-kva.example"]), OLD),
    "draft": (host(id=None), OLD),
    "no-ipv6": (host(), NginxFacts("1.22.1", 8080, 8443, ipv6=False)),
}


def compare(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.conf"
    if os.environ.get("WAYPOST_UPDATE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text()


@pytest.mark.parametrize("name", HOSTS)
def test_a_host_is_rendered_as_its_golden_file(name: str) -> None:
    subject, facts = HOSTS[name]
    compare(name, render.render_host(subject, facts).text)


@pytest.mark.parametrize("facts", [OLD, HOSTS["no-ipv6"][1]], ids=["ipv6", "ipv4"])
def test_what_all_hosts_share_is_rendered_as_its_golden_files(facts: NginxFacts) -> None:
    suffix = "" if facts.ipv6 else "-no-ipv6"
    compare("http", render.render_http(facts).text)
    compare(f"default{suffix}", render.render_default(facts).text)


def test_a_reload_leaves_idle_connections_open_where_nginx_can() -> None:
    compare("http-keepalive", render.render_http(NEW).text)
    for version in ("1.27.3", "1.22.1", "", "1.28.x"):
        assert "keepalive_min_timeout" not in render.render_http(replace(NEW, version=version)).text
    for version in ("1.27.4", "1.28.0", "2.0"):
        assert "keepalive_min_timeout" in render.render_http(replace(NEW, version=version)).text


CERTIFICATE = CertificateFiles(
    "/etc/letsencrypt/live/app.example.com/fullchain.pem", "/etc/letsencrypt/live/app.example.com/privkey.pem"
)
TLS_HOSTS: dict[str, tuple[ProxyHost, NginxFacts]] = {
    "certificate": (host(), OLD),
    "certificate-force-ssl": (host(force_ssl=True, hsts=True, websocket=True), OLD),
    "certificate-https-443": (host(force_ssl=True), replace(OLD, http_port=80, https_port=443)),
    "certificate-http2": (host(force_ssl=True, http2=True), NEW),
    "certificate-no-http2": (host(http2=False), NEW),
}


@pytest.mark.parametrize("name", TLS_HOSTS)
def test_a_host_with_a_certificate_is_rendered_as_its_golden_file(name: str) -> None:
    subject, facts = TLS_HOSTS[name]
    compare(name, render.render_host(subject, facts, CERTIFICATE).text)


def test_what_hosts_with_certificates_share_is_rendered_as_its_golden_files() -> None:
    compare("http-tls", render.render_http(OLD, Tls()).text)
    compare("default-tls", render.render_default(OLD, Tls()).text)
    compare("default-tls-no-http2", render.render_default(OLD, Tls(http2=False)).text)
    compare("default-tls-http2-per-host", render.render_default(NEW, Tls()).text)


def test_a_host_that_wants_no_http2_decides_for_all_where_nginx_has_one_for_all() -> None:
    hosts = [host(id=1), host(id=2, domain_names=["b.example.com"], http2=False)]
    pairs = {1: CERTIFICATE, 2: CERTIFICATE}
    for facts, said in ((OLD, []), (NEW, ["http2 on;"])):
        text = "\n".join(file.text for file in render.render_bundle(hosts, facts, pairs).files)
        assert [line.strip() for line in text.splitlines() if "http2" in line] == said
    (default,) = (
        file for file in render.render_bundle(hosts, OLD, {1: CERTIFICATE}).files if file.path == "default.conf"
    )
    assert "ssl http2 default_server;" in default.text


def test_shared_files_are_current_when_they_are_those_of_some_hosts() -> None:
    for facts in (OLD, NEW):
        for pairs in ({}, {12: CERTIFICATE}):
            manifest = render.render_bundle([host()], facts, pairs).manifest
            assert render.is_shared_current(manifest, facts)
            assert not render.is_shared_current(manifest, replace(facts, https_port=1, http_port=2))
    assert not render.is_shared_current({}, OLD)


def test_nginx_reads_hosts_with_certificates_without_a_word_and_the_agent_takes_them(tmp_path: Path) -> None:
    certificates = {number: make_certificate(tmp_path / f"letsencrypt/live/{number}") for number in (1, 2)}
    hosts = [host(id=number, domain_names=[f"app{number}.example.com"]) for number in (1, 2, 3)]
    bundle = render.render_bundle(hosts, replace(OLD, version=".".join(map(str, nginx_version()))), certificates)
    assert run_test(tmp_path, bundle) == ""
    policy = replace(POLICY, certificate_dir=tmp_path / "letsencrypt")
    for file in bundle.files:
        check_text(file.text, policy)


@pytest.mark.parametrize("path", ["/etc/x;y", '/etc/"x', "/etc/$x", "etc/x", "/etc/../x", "/etc/x\ny"])
def test_a_certificate_at_an_odd_path_is_refused(path: str) -> None:
    with pytest.raises(UnsafeValue) as refusal:
        render.render_host(host(), OLD, CertificateFiles(path, "/etc/letsencrypt/live/a/privkey.pem"))
    assert refusal.value.field == "certificate_id"


@pytest.mark.parametrize("name", HOSTS)
def test_nginx_reads_every_golden_file_without_a_word(name: str, tmp_path: Path) -> None:
    subject, facts = HOSTS[name]
    bundle = render.render_bundle([subject], facts)
    if facts.can_keep and nginx_version() < (1, 27, 4):
        shared = [render.render_http(OLD), render.render_default(facts)]
        bundle = ConfigBundle.of([*shared, render.render_host(subject, facts)])
    said = run_test(tmp_path, bundle)
    if facts.can_resolve and nginx_version() < (1, 27, 3):
        text = render.render_host(subject, facts).text
        assert 'invalid parameter "resolve"' in said
        line = int(said.split(".conf:")[1].split()[0])
        assert locate_field(text, line, said) == "forward_host"
    else:
        assert said == ""


def test_nginx_reads_a_hundred_of_the_longest_names_without_a_word(tmp_path: Path) -> None:
    assert {len(name) for name in MANY_NAMES} == {253}
    bundle = render.render_bundle([host(domain_names=MANY_NAMES)], OLD)
    assert run_test(tmp_path, bundle) == ""
    assert all(len(file.path) <= 255 and len(file.text) < 256 * 1024 for file in bundle.files)


def test_nginx_reads_a_thousand_hosts_without_a_word(tmp_path: Path) -> None:
    hosts = [host(id=n, domain_names=[f"host{n}.example.com", f"www.host{n}.example.com"]) for n in range(1, 1001)]
    assert run_test(tmp_path, render.render_bundle(hosts, OLD)) == ""


@pytest.mark.parametrize("name", [*HOSTS, "many"])
def test_the_agent_accepts_every_golden_file(name: str) -> None:
    subject, facts = HOSTS.get(name, (host(domain_names=MANY_NAMES), OLD))
    for file in render.render_bundle([subject], facts).files:
        check_text(file.text, POLICY)


def test_nginx_reads_all_hosts_together_in_the_agents_own_wrapper(tmp_path: Path) -> None:
    numbered = enumerate(HOSTS.values(), 1)
    hosts = [_numbered(number, subject) for number, (subject, facts) in numbered if not facts.can_resolve]
    bundle = render.render_bundle(hosts, OLD)
    layout = Layout(tmp_path)
    layout.make_folders()
    for file in bundle.files:
        (tmp_path / file.path).parent.mkdir(exist_ok=True)
        (tmp_path / file.path).write_text(file.text)
    machine = wrapper.Machine(user="", resolvers=("127.0.0.1",), ipv6=True, status_port=free_port(), http_port=8080)
    conf = tmp_path / "nginx.conf"
    conf.write_text(wrapper.render_test(layout, machine, tmp_path, [tmp_path / file.path for file in bundle.files]))
    ran = subprocess.run(["nginx", "-t", "-q", "-c", str(conf)], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")


def _numbered(number: int, subject: ProxyHost) -> ProxyHost:
    values = {"forward_scheme": subject.forward_scheme, "forward_host": subject.forward_host}
    names = [name.replace("app.", f"app{number}.") for name in subject.domain_names]
    names = [name.replace("www.", f"www{number}.") for name in names]
    return host(id=number, domain_names=names, websocket=subject.websocket, **values)


def test_files_of_hosts_have_paths_of_their_own() -> None:
    plain, wild = host(id=1, domain_names=["a-b.example"]), host(id=2, domain_names=["*.b.example"])
    assert render.render_host(plain, OLD).path == "hosts/1-a-b.example.conf"
    assert render.render_host(wild, OLD).path == "hosts/2-wildcard.b.example.conf"
    assert render.host_id_of("hosts/2-wildcard.b.example.conf") == 2
    assert render.host_id_of("http.conf") is None


def test_equal_hosts_have_equal_bytes_whatever_their_order() -> None:
    one, two = host(id=1), host(id=2, domain_names=["b.example.com"])
    assert render.render_bundle([one, two], OLD) == render.render_bundle([two, one], OLD)
    assert render.render_bundle([one], OLD).revision != render.render_bundle([two], OLD).revision


def test_a_revision_is_the_hash_of_its_sorted_manifest() -> None:
    manifest = {"b.conf": "2" * 64, "a.conf": "1" * 64}
    assert revision_of(manifest) == revision_of(dict(sorted(manifest.items())))
    with pytest.raises(ValueError, match="same path"):
        ConfigBundle.of([ConfigFile("a.conf", ""), ConfigFile("a.conf", "#")])


HOSTILE_NAMES = [
    "a.com; } server { listen 81; root /; #",
    "a.com\rload_module /x.so;",
    "a.com\n}",
    "a.com\0",
    "a.com\u2028b",
    "a.com\u0085b",
    "$host",
    "a.com\\",
    '"',
    "{{ config }}",
    "{% raw %}",
    "_",
    "default",
    "A.example.com",
    "b\u00fccher.example",
    "*.*.example.com",
    "~^(.*)$",
    "../../nginx.conf",
    "",
]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_the_renderer_refuses_names_that_the_form_would_have_refused(name: str) -> None:
    with pytest.raises(UnsafeValue) as refusal:
        render.render_host(host(domain_names=["fine.example.com", name]), OLD)
    assert refusal.value.field == "domain_names"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("forward_host", "127.0.0.1$request_uri"),
        ("forward_host", "unix:/run/docker.sock"),
        ("forward_host", "10.0.0.5; return 200 pwned"),
        ("forward_host", "[fd00::5]"),
        ("forward_host", "FD00::5"),
        ("forward_host", "169.254.169.254"),
        ("forward_host", "waypost_agent"),
        ("forward_host", "{{ 7 * 7 }}"),
        ("forward_port", 0),
        ("forward_port", 65536),
        ("forward_port", "80"),
        ("forward_scheme", "https://evil/?"),
        ("forward_scheme", "file"),
    ],
)
def test_the_renderer_refuses_upstreams_that_the_form_would_have_refused(field: str, value: object) -> None:
    for facts in (OLD, NEW):
        with pytest.raises(UnsafeValue) as refusal:
            render.render_host(host(**{field: value}), facts)
        assert refusal.value.field == field


def test_notes_never_reach_a_file() -> None:
    noted = host(notes="fine\n} load_module /x.so; # {{ config }}")
    assert render.render_host(noted, OLD) == render.render_host(host(), OLD)


@pytest.mark.parametrize("text", ["a\nb", "a\rb", "a\0b", "$host", "a\\", 'a"b', "ü", "a\u2028b", "\x7f"])
def test_what_quotes_cannot_hold_is_never_written(text: str) -> None:
    with pytest.raises(UnsafeValue):
        quote(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [("a.b-c:80", "a.b-c:80"), ("", '""'), ("a b", '"a b"'), ("};", '"};"'), ("#", '"#"'), ("'", '"\'"')],
)
def test_what_nginx_would_split_is_quoted(text: str, word: str) -> None:
    assert quote(text) == word


@pytest.mark.parametrize(
    ("name", "snippet", "message", "field"),
    [
        ("address", "server 10.0.0.5", "host not found in upstream", "forward_host"),
        ("address", "server 10.0.0.5", 'invalid port in upstream "10.0.0.5:0"', "forward_port"),
        ("address-ipv6", "www.example.com", "conflicting server name", "domain_names"),
        ("name", "set $upstream_host", "", "forward_host"),
        ("name", "proxy_pass http://$upstream_host", "no resolver defined", "forward_host"),
        ("name-https", "proxy_ssl_name", "", "forward_scheme"),
        ("certificate", "ssl_certificate ", 'cannot load certificate "/x"', "certificate_id"),
        ("certificate", "ssl_certificate_key ", "key values mismatch", "certificate_id"),
        ("certificate-force-ssl", "if ($waypost_insecure)", "", "force_ssl"),
        ("certificate-force-ssl", "return 301", "", "force_ssl"),
        ("certificate-force-ssl", "set $upstream_hsts", "", "hsts"),
        ("certificate-http2", "http2 on", "", "http2"),
        ("address-websocket", "proxy_read_timeout", "", "websocket"),
        ("address", "server {", "", ""),
        ("address", "listen 8080", "bind() failed", ""),
        ("address", "location ~", "", ""),
    ],
)
def test_a_refused_line_leads_to_its_field(name: str, snippet: str, message: str, field: str) -> None:
    lines = (GOLDEN / f"{name}.conf").read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if snippet in text)
    assert locate_field("\n".join(lines), line, message) == field


@pytest.mark.parametrize("line", [0, -1, 9999])
def test_a_line_out_of_the_file_leads_to_no_field(line: int) -> None:
    assert locate_field("server_name a.b;\n", line) == ""
