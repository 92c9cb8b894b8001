"""Certificates on disk: certbot's layout, its lock, atomic links, repair after a crash.
May import: agent, tests.agent."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import failpoints
from agent.acme.certbot import certbot_lock, check_name, read_renewal, take_over, write_renewal
from agent.acme.leaf import find_fault, read_leaf
from agent.acme.lineage import KEEP, KINDS, Lineages
from agent.acme.spec import KeyType
from agent.errors import AgentError
from agent.failpoints import FailpointReached
from tests.agent.acme.certificates import TestAuthority

CERTBOT = os.environ.get("WAYPOST_CERTBOT") or shutil.which("certbot") or ""
needs_certbot = pytest.mark.skipif(not CERTBOT, reason="certbot is not on PATH, and WAYPOST_CERTBOT names none")


@pytest.fixture(scope="module")
def authority() -> TestAuthority:
    return TestAuthority()


@pytest.fixture
def lineages(tmp_path: Path) -> Lineages:
    return Lineages(tmp_path / "letsencrypt")


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    failpoints.arm("")


def install(lineages: Lineages, authority: TestAuthority, name: str = "a.example", *names: str) -> int:
    """One more version, in use."""
    version = lineages.add(name, authority.issue(*(names or (name,))))
    lineages.switch(name, version)
    write_renewal(lineages.root, name, "https://ca.example/dir", lineages.root.parent / "webroot")
    return version


def certbot(lineages: Lineages, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The real one, on our folder."""
    folder = lineages.root.parent
    dirs = ["--config-dir", str(lineages.root), "--work-dir", str(folder / "work"), "--logs-dir", str(folder / "log")]
    return subprocess.run([CERTBOT, *arguments, *dirs, "-n"], capture_output=True, text=True, timeout=60)


def test_a_certificate_lies_where_everybody_expects_it_and_only_its_owner_reads_it(
    lineages: Lineages, authority: TestAuthority
) -> None:
    material = authority.issue("a.example", "www.a.example")
    version = lineages.add("a.example", material)
    assert lineages.check("a.example", version) == ""
    lineages.switch("a.example", version)
    live = lineages.root / "live" / "a.example"
    assert {kind: str((live / f"{kind}.pem").readlink()) for kind in KINDS} == {
        kind: f"../../archive/a.example/{kind}1.pem" for kind in KINDS
    }
    assert (live / "fullchain.pem").read_text() == material.leaf_pem + authority.pem
    assert (live / "privkey.pem").read_text() == material.key_pem
    archive = lineages.root / "archive" / "a.example"
    assert {stat.S_IMODE(path.stat().st_mode) for path in archive.iterdir()} == {0o600}
    folders = [live, live.parent, archive, archive.parent]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert (live.parent / "README").exists()
    sight = lineages.look("a.example")
    assert (sight.version, sight.problem) == (1, "")
    assert sight.leaf == read_leaf(material.leaf_pem)
    assert sight.leaf.names == ("a.example", "www.a.example")
    assert lineages.names() == ["a.example"]
    assert lineages.material("a.example").fullchain_pem == material.fullchain_pem


@needs_certbot
def test_certbot_lists_our_certificates_and_does_not_renew_them(lineages: Lineages, authority: TestAuthority) -> None:
    install(lineages, authority, "a.example", "a.example", "*.a.example")
    listed = certbot(lineages, "certificates")
    assert "Certificate Name: a.example" in listed.stdout
    assert "*.a.example" in listed.stdout
    assert "INVALID" not in listed.stdout
    assert listed.returncode == 0
    lineages.switch("a.example", lineages.add("a.example", authority.issue("a.example", age=89)))
    renewed = certbot(lineages, "renew")
    assert renewed.returncode == 0, renewed.stdout + renewed.stderr
    assert "not yet due for renewal" in renewed.stdout + renewed.stderr
    assert not (lineages.root / ".certbot.lock").exists()


@needs_certbot
def test_certbot_waits_for_nobody_while_we_write(lineages: Lineages, authority: TestAuthority) -> None:
    install(lineages, authority)
    with certbot_lock(lineages.root):
        listed = certbot(lineages, "certificates")
    assert listed.returncode != 0
    assert "Another instance of Certbot is already running" in listed.stdout + listed.stderr
    assert certbot(lineages, "certificates").returncode == 0


@needs_certbot
def test_what_certbot_has_is_found_and_left_alone_by_it_after_it_was_taken_over(
    lineages: Lineages, authority: TestAuthority
) -> None:
    install(lineages, authority, "b.example", "b.example")
    conf = lineages.root / "renewal" / "b.example.conf"
    text = conf.read_text().split("\n", 1)[1].replace("autorenew = False\n", "# a comment\n")
    conf.write_text("# renew_before_expiry = 30 days\nversion = 2.1.0\n" + text + "[[webroot_map]]\nb.example = /srv\n")
    found = read_renewal(lineages.root, "b.example")
    assert found is not None
    assert (found.autorenew, found.server, found.is_ours) == (True, "https://ca.example/dir", False)
    take_over(lineages.root, "b.example")
    taken = read_renewal(lineages.root, "b.example")
    assert taken is not None
    assert not taken.autorenew
    assert "b.example = /srv" in conf.read_text()
    assert "# a comment" in conf.read_text()
    lineages.switch("b.example", lineages.add("b.example", authority.issue("b.example", age=89)))
    assert certbot(lineages, "renew").returncode == 0
    take_over(lineages.root, "b.example")
    assert conf.read_text().count("autorenew") == 1


def test_the_lock_of_certbot_is_respected(lineages: Lineages, tmp_path: Path, authority: TestAuthority) -> None:
    lineages.root.mkdir()
    script = (
        "import fcntl,sys; f=open(sys.argv[1],'w'); fcntl.lockf(f, fcntl.LOCK_EX);"
        " print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(lineages.root / ".certbot.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(AgentError, match="certbot is at work"), certbot_lock(lineages.root, 0.2):
            raise AssertionError
        added: list[int] = []
        writer = threading.Thread(target=lambda: added.append(lineages.add("a.example", authority.issue("a.example"))))
        writer.start()
        other.communicate()
        writer.join(10)
    assert added == [1]


def test_a_lock_whose_file_was_removed_counts_for_nothing(lineages: Lineages) -> None:
    lineages.root.mkdir()
    with (lineages.root / ".certbot.lock").open("w") as gone:
        fcntl.lockf(gone, fcntl.LOCK_EX)
        (lineages.root / ".certbot.lock").unlink()
        with certbot_lock(lineages.root, 0.2):
            assert (lineages.root / ".certbot.lock").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", ".hidden", "README", "a b", "-x", "a\n", "x" * 201])
def test_a_name_is_never_a_path(lineages: Lineages, authority: TestAuthority, name: str) -> None:
    with pytest.raises(AgentError, match="cannot be called"):
        check_name(name)
    with pytest.raises(AgentError):
        lineages.add(name, authority.issue("a.example"))
    with pytest.raises(AgentError):
        lineages.delete(name)


@pytest.mark.parametrize("nth", range(1, len(KINDS)))
def test_a_crash_between_two_links_is_mended(lineages: Lineages, authority: TestAuthority, nth: int) -> None:
    install(lineages, authority)
    second = lineages.add("a.example", authority.issue("a.example"))
    failpoints.arm(f"certificate:link:raise:{nth}")
    with pytest.raises(FailpointReached):
        lineages.switch("a.example", second)
    assert lineages.look("a.example").version == 0
    said = lineages.repair("a.example")
    assert "version 2 is used" in said
    assert (lineages.look("a.example").version, lineages.look("a.example").problem) == (2, "")
    assert lineages.repair("a.example") == ""


@pytest.mark.parametrize("nth", range(1, len(KINDS)))
def test_a_version_that_was_not_written_to_its_end_is_never_used(
    lineages: Lineages, authority: TestAuthority, nth: int
) -> None:
    install(lineages, authority)
    failpoints.arm(f"certificate:file:raise:{nth}")
    with pytest.raises(FailpointReached):
        lineages.add("a.example", authority.issue("a.example"))
    failpoints.arm("")
    assert lineages.versions("a.example") == [1]
    assert lineages.repair("a.example") == ""
    assert lineages.add("a.example", authority.issue("a.example")) == 3


def test_links_that_lead_nowhere_or_to_a_pair_that_does_not_fit_are_mended(
    lineages: Lineages, authority: TestAuthority
) -> None:
    install(lineages, authority)
    install(lineages, authority)
    archive = lineages.root / "archive" / "a.example"
    (archive / "privkey2.pem").write_text((archive / "privkey1.pem").read_text())
    assert lineages.look("a.example").problem == "The key does not belong to the certificate."
    assert "version 1 is used" in lineages.repair("a.example")
    (archive / "privkey2.pem").unlink()
    lineages.switch("a.example", 2)
    assert "privkey.pem cannot be read: No such file" in lineages.look("a.example").problem
    assert "version 1 is used" in lineages.repair("a.example")
    shutil.rmtree(archive)
    assert lineages.repair("a.example") == ""
    assert lineages.look("a.example").leaf is None


def test_five_old_versions_are_kept(lineages: Lineages, authority: TestAuthority) -> None:
    for _ in range(KEEP + 3):
        install(lineages, authority)
    lineages.prune("a.example")
    assert lineages.versions("a.example") == list(range(3, KEEP + 4))
    lineages.switch("a.example", 4)
    assert lineages.look("a.example").version == 4
    lineages.prune("a.example")
    assert lineages.versions("a.example") == list(range(3, KEEP + 4))


def test_the_same_certificate_is_stored_once(lineages: Lineages, authority: TestAuthority) -> None:
    material = authority.issue("a.example")
    assert lineages.add("a.example", material) == lineages.add("a.example", material) == 1


def test_nothing_is_left_of_a_deleted_one(lineages: Lineages, authority: TestAuthority) -> None:
    install(lineages, authority)
    install(lineages, authority, "b.example")
    lineages.delete("a.example")
    lineages.delete("a.example")
    assert lineages.names() == ["b.example"]
    assert not lineages.has_files("a.example")
    assert lineages.has_files("b.example")


def test_a_full_disk_leaves_no_half_version(lineages: Lineages, authority: TestAuthority, tmp_path: Path) -> None:
    install(lineages, authority)
    script = (
        "import resource,signal,sys; from pathlib import Path; from agent.acme.lineage import Lineages;"
        "from agent.acme.leaf import split; root=Path(sys.argv[1]);"
        "material=split((root/'live/a.example/fullchain.pem').read_text(), 'k'*9000);"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); Lineages(root).add('b.example', material)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(lineages.root)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert os.strerror(errno.EFBIG) in done.stderr
    assert list((lineages.root / "archive" / "b.example").iterdir()) == []
    assert lineages.look("a.example").problem == ""


def test_what_must_not_be_used_is_told(authority: TestAuthority) -> None:
    material = authority.issue("a.example", "b.example", key_type=KeyType.RSA_2048)
    leaf = read_leaf(material.leaf_pem)
    now = leaf.not_before
    assert leaf.key_type == "rsa-2048"
    assert find_fault(material, ("b.example", "a.example"), now) == ""
    assert find_fault(material, (), now) == ""
    assert "and not for a.example." in find_fault(material, ("a.example",), now)
    assert "not valid before" in find_fault(material, (), now - 2 * (leaf.lifetime / 90))
    assert "ended on" in find_fault(material, (), leaf.not_after)
    stranger = TestAuthority("Stranger")
    broken = type(material)(material.leaf_pem, stranger.pem, material.key_pem)
    assert "CN=Stranger did not sign" in find_fault(broken, (), now)
    other = authority.issue("a.example")
    assert "does not belong" in find_fault(type(material)(material.leaf_pem, "", other.key_pem), (), now)
    assert "cannot be read" in find_fault(type(material)(material.leaf_pem, "", "no key"), (), now)
    assert material.key_pem not in repr(material)
    assert read_leaf(authority.issue("192.0.2.7").leaf_pem).names == ("192.0.2.7",)
