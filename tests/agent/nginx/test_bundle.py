"""Hostile bundles: refused before anything is written, also when the panel itself sends them.
May import: agent, tests.agent.conftest."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import AgentConfig
from agent.errors import BundleRefused
from agent.nginx.bundle import Bundle, BundleFile, check_manifest, revision_of
from tests.agent.conftest import Bench, host, make_bundle


def with_file(
    config: AgentConfig, path: str, text: str = "server_tokens off;\n", size: int = 0
) -> tuple[Bundle, dict[str, bytes]]:
    bundle, contents = make_bundle(config)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    files = (*bundle.files, BundleFile(path, sha256, size or len(text.encode())))
    return Bundle(revision_of(files), files), {**contents, sha256: text.encode()}


@pytest.mark.parametrize(
    "path",
    [
        "../x.conf",
        "hosts/../../x.conf",
        "/etc/nginx/x.conf",
        "hosts//x.conf",
        "hosts/./x.conf",
        "hosts/.x.conf",
        "hosts/a/b.conf",
        "hosts/x.conf\n",
        "hosts/x",
        "hosts/X.conf",
        "hosts/é.conf",
        "other/x.conf",
        "nginx.conf",
        "manifest.json",
        "hosts/" + "a" * 300 + ".conf",
        "http.conf",
        "",
    ],
)
def test_a_path_outside_the_release_is_refused(agent_config: AgentConfig, path: str) -> None:
    bundle, _ = with_file(agent_config, path)
    with pytest.raises(BundleRefused):
        check_manifest(bundle)


def test_limits_hashes_and_the_revision_are_checked(agent_config: AgentConfig) -> None:
    good, _ = make_bundle(agent_config)
    check_manifest(good)
    huge, _ = with_file(agent_config, "hosts/1.conf", size=300_000)
    many = tuple(replace(good.files[0], path=f"hosts/{n}.conf") for n in range(5001))
    wrong = [
        huge,
        Bundle(revision_of(many), many),
        replace(good, revision="0" * 64),
        replace(good, revision="../../x"),
        Bundle(revision_of(good.files[:1]), good.files[:1]),
        Bundle("x", (replace(good.files[0], sha256="../x"), *good.files[1:])),
        Bundle("x", (replace(good.files[0], size=-1), *good.files[1:])),
    ]
    for bundle in wrong:
        with pytest.raises(BundleRefused):
            check_manifest(bundle)


def test_a_forbidden_directive_ends_the_apply_before_nginx_sees_it(bench: Bench, tmp_path: Path) -> None:
    target = tmp_path / "written-by-nginx"
    for text in (f"error_log {target};\n", "load_module /tmp/x.so;\n", "include /etc/passwd;\n"):
        outcome = bench.apply({"1-a.example": host(bench.config, "a.example") + text}, "c" + text)
        assert outcome.failed_stage == "fetch"
        assert outcome.file_errors[0].path == "hosts/1-a.example.conf"
        assert outcome.file_errors[0].line == 6
    assert not target.exists()
    assert [folder.name for folder in bench.layout.releases.iterdir()] == ["none"]
    assert bench.nginx.revision() == "none"


def test_content_that_is_not_the_named_one_is_refused(bench: Bench) -> None:
    bundle, contents = make_bundle(bench.config, {"1-a.example": host(bench.config, "a.example")})
    outcome = bench.apply_bundle(bundle, {key: data + b" " for key, data in contents.items()})
    assert "not the one that the bundle names" in outcome.error
    assert bench.nginx.revision() == "none"


def test_a_symlink_planted_in_the_current_release_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    hosts = {"1-a.example": host(bench.config, "a.example")}
    first = bench.apply(hosts)
    planted = bench.layout.release(first.revision) / "hosts/1-a.example.conf"
    secret = tmp_path / "secret"
    secret.write_bytes(planted.read_bytes())
    planted.unlink()
    planted.symlink_to(secret)
    second = bench.apply({**hosts, "2-b.example": host(bench.config, "b.example")}, "c2")
    assert second.error == ""
    assert not (bench.layout.release(second.revision) / "hosts/1-a.example.conf").is_symlink()
