"""One parse is as safe as two: whatever a full `nginx -t` refuses, an apply refuses in the same words and at the right
host, whether the small test finds it or only the reload. May import: agent, tests.agent.conftest."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.nginx import bundle as bundle_module
from agent.nginx.stage import Stager
from agent.nginx.trial import Verdict
from tests.agent.conftest import Bench, Contents, host, make_bundle
from tests.agent.nginx.cold import assert_starts_from_disk

# Sorts before the live partner "5-b", so that nginx, which reads files by name, blames the innocent one.
NEW, PARTNER, OTHER = "1-new.example", "5-b.example", "7-c.example"


@dataclass(frozen=True)
class Refusal:
    """A configuration that nginx refuses: the new file, the live file that it does not go together with, http.conf."""

    new: str
    partner: str = ""
    http: str = ""
    words: str = ""


def server(line: str = "", listen: str = "listen PORT;", outside: str = "") -> str:
    return f"{outside}\nserver {{\n    {listen}\n    server_name NAME;\n    {line}\n}}\n"


TLS = "listen TLS ssl;"
CERTIFICATE = "ssl_certificate CERTS/live/one/fullchain.pem; ssl_certificate_key CERTS/live/one/privkey.pem;"
CLASSES = {
    "an unknown directive": Refusal(server("nonsense on;"), words="unknown directive"),
    "a missing bracket": Refusal("server { listen PORT;", words='expecting "}"'),
    "a bracket too many": Refusal(server() + "}", words='unexpected "}"'),
    "a missing semicolon": Refusal(server("root /tmp"), words='unexpected "}"'),
    "too few arguments": Refusal(server("proxy_pass_header;"), words="invalid number of arguments"),
    "an invalid value": Refusal(server("client_max_body_size lots;"), words="invalid value"),
    "a directive in the wrong place": Refusal(server("proxy_pass http://127.0.0.1;"), words="not allowed here"),
    "a directive twice": Refusal(server("default_type a/b; default_type a/b;"), words="is duplicate"),
    "a listener twice": Refusal(server(listen="listen PORT; listen PORT;"), words="duplicate listen"),
    "a location twice": Refusal(server("location / { return 200; } location / { return 200; }"), words="duplicate loc"),
    "listen options of two hosts": Refusal(
        server(listen="listen TLS backlog=10;"), server(listen="listen TLS backlog=11;"), words="duplicate listen opt"
    ),
    "two default servers": Refusal(
        server(listen="listen TLS default_server;"), server(listen="listen TLS default_server;"), words="default server"
    ),
    "an upstream group of two hosts": Refusal(
        server(outside="upstream one { server 127.0.0.1:9; }"),
        server(outside="upstream one { server 127.0.0.1:9; }"),
        words="duplicate upstream",
    ),
    "an upstream group without servers": Refusal(server(outside="upstream one { }"), words="no servers are inside"),
    "an upstream that does not resolve": Refusal(
        server("location / { proxy_pass http://no-such-name.invalid; }"), words="host not found in upstream"
    ),
    "an invalid port": Refusal(server("location / { proxy_pass http://127.0.0.1:99999; }"), words="invalid port"),
    "a bad map": Refusal(server(outside="map $host { default 1; }"), words="invalid number of arguments"),
    "a map with two values for one": Refusal(
        server(outside="map $host $m { a 1; a 2; }"), words="conflicting parameter"
    ),
    "a bad pattern": Refusal(server(outside='map $host $m { "~(" 1; }'), words="pcre"),
    "an unknown variable": Refusal(server("return 200 $no_such_variable;"), words="unknown"),
    "a missing include": Refusal(server("include /no/such/file.conf;"), words="No such file"),
    "a zone of two sizes": Refusal(
        server(CERTIFICATE + " ssl_session_cache shared:one:1m;", TLS),
        server(CERTIFICATE + " ssl_session_cache shared:one:2m;", TLS),
        words="conflicts with already declared size",
    ),
    "a zone for two uses": Refusal(
        server(outside="upstream one { zone one 1m; server 127.0.0.1:9; }"),
        server(CERTIFICATE + " ssl_session_cache shared:one:1m;", TLS),
        words="already declared for a different use",
    ),
    "a zone that is too small": Refusal(
        server(outside="upstream one { zone one 1k; server 127.0.0.1:9; }"), words="too small"
    ),
    "a zone that nobody made": Refusal(server("limit_req zone=nope;"), words="zero size shared memory zone"),
    "a zone with two keys": Refusal(
        server(outside="limit_req_zone $host zone=one:1m rate=1r/s;"),
        server(outside="limit_req_zone $uri zone=one:1m rate=1r/s;"),
        words="already bound to key",
    ),
    "a listener with TLS and no certificate": Refusal(server("", TLS), words='no "ssl_certificate" is defined'),
    "a missing certificate": Refusal(
        server(CERTIFICATE.replace("live/one", "live/gone"), TLS), words="cannot load certificate"
    ),
    "a certificate that is none": Refusal(
        server(CERTIFICATE.replace("live/one", "live/broken"), TLS), words="cannot load certificate"
    ),
    "a key of another certificate": Refusal(
        server("ssl_certificate CERTS/live/one/fullchain.pem; ssl_certificate_key CERTS/live/two/privkey.pem;", TLS),
        words="key values mismatch",
    ),
    "a name that does not fit the table": Refusal(
        server().replace("NAME", "a" * 60 + ".example"),
        http="server_names_hash_bucket_size 32;\n",
        words="could not build",
    ),
}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two self-signed pairs and one that is none, in certbot's layout."""
    folder = tmp_path_factory.mktemp("letsencrypt")
    for name in ("one", "two"):
        make_certificate(folder / "live" / name)
    (folder / "live/broken").mkdir()
    for part in ("fullchain.pem", "privkey.pem"):
        (folder / "live/broken" / part).write_text("nothing that anybody could load\n")
    return folder


def make_certificate(folder: Path) -> None:
    folder.mkdir(parents=True)
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    paths = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run([*command, *paths, "-subj", "/CN=x.example"], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def no_allow_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent's allow-list would refuse most of these before nginx sees them; here nginx is what is tested."""
    monkeypatch.setattr(bundle_module, "check_text", lambda _text, _policy: None)


def fill(bench: Bench, certificates: Path, text: str, name: str) -> str:
    words = {
        "PORT": str(bench.config.http_port),
        "TLS": str(bench.config.https_port),
        "CERTS": str(certificates),
        "NAME": name,
    }
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def full_test(bench: Bench, hosts: dict[str, str], http: str) -> Verdict:
    """What a full `nginx -t` says, as the job of testing a configuration asks it."""
    bundle, contents = make_bundle(bench.config, hosts, http)
    stager, output = Stager(bench.config, bench.layout, bench.nginx), bench.output("full")
    try:
        return stager.test(bundle, Contents(contents), output, bench.guard())
    finally:
        output.close()


@pytest.mark.parametrize("name", CLASSES)
def test_what_a_full_test_refuses_is_set_aside_in_the_same_words_and_the_rest_goes_live(
    bench: Bench, certificates: Path, name: str
) -> None:
    case = CLASSES[name]
    live = {OTHER: host(bench.config, "c.example", "kept")}
    if case.partner:
        live[PARTNER] = fill(bench, certificates, case.partner, "b.example")
    assert bench.apply(live, http=case.http).error == ""
    good = {**live, OTHER: host(bench.config, "c.example", "changed")}
    bad = {**good, NEW: fill(bench, certificates, case.new, "new.example")}

    verdict = full_test(bench, bad, case.http)
    outcome = bench.apply(bad, "c2", http=case.http)

    assert not verdict.ok
    assert case.words in verdict.file_errors[0].text
    assert outcome.rolled_back or outcome.failed_stage == "test"
    assert not outcome.degraded
    assert [error.path for error in outcome.file_errors] == [f"hosts/{NEW}.conf"]
    assert case.words in outcome.file_errors[0].text
    assert case.words in outcome.error
    assert case.words in bench.text("c2")
    if not case.partner:  # where two files clash, a full test may blame the other one
        assert outcome.file_errors[0].text == verdict.file_errors[0].text
        assert outcome.file_errors[0].line == verdict.file_errors[0].line
    assert bench.get("c.example") == (200, "kept")

    assert bench.apply(good, "c3", http=case.http).error == ""
    assert_starts_from_disk(bench, c_example="changed")


def test_only_what_two_files_do_together_waits_for_the_reload(bench: Bench) -> None:
    """The rest is found by the small test, before the reload."""
    for name, case in CLASSES.items():
        hosts = {NEW: fill(bench, Path("/nowhere"), case.new, "new.example")}
        outcome = bench.apply(hosts, f"c {name}", http=case.http)
        assert outcome.failed_stage == "test" or case.partner, name


def test_a_live_file_that_nginx_no_longer_takes_is_named_and_not_the_changed_one(
    bench: Bench, certificates: Path, tmp_path: Path
) -> None:
    """Somebody removed the certificate of a live host; then another host is changed."""
    make_certificate(tmp_path / "live/fleeting")
    text = fill(bench, tmp_path, server(CERTIFICATE.replace("live/one", "live/fleeting"), TLS), "b.example")
    live = {PARTNER: text, OTHER: host(bench.config, "c.example", "kept")}
    assert bench.apply(live).error == ""
    (tmp_path / "live/fleeting/fullchain.pem").unlink()
    changed = {**live, OTHER: host(bench.config, "c.example", "changed")}
    outcome = bench.apply(changed, "c2")
    assert [error.path for error in outcome.file_errors] == [f"hosts/{PARTNER}.conf"]
    assert outcome.file_errors[0].line == 5
    assert outcome.file_errors[0].text.startswith(
        f"The certificate file {tmp_path}/live/fleeting/fullchain.pem is missing"
    )
    del changed[PARTNER]
    assert bench.apply(changed, "c3").error == ""
    assert_starts_from_disk(bench, c_example="changed")
