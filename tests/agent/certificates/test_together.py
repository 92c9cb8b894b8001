"""Several certificates at once: one reload for all, and one that nginx refuses does not hold up the others.
May import: agent, protos, tests.agent."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from agent.acme.usage import Usage
from agent.errors import Cancelled
from agent.handlers.lanes import Lanes
from agent.nginx.guard import Guard
from agent.nginx.layout import Layout
from agent.nginx.turn import Turn
from protos import command_stream_pb2 as pb
from tests.agent.acme.certificates import TestAuthority
from tests.agent.certificates.bench import CertificateBench
from tests.agent.conftest import wait_for


def test_of_several_the_one_that_nginx_refuses_is_found(certificates: CertificateBench) -> None:
    authority = TestAuthority()
    for name in ("good", "bad"):
        first = authority.issue(f"{name}.example")
        assert certificates.run(install_certificate=_upload(name, first.fullchain_pem, first.key_pem)).error == ""
        certificates.add_host(f"{name}.example", name)
    (key,) = [key for key in certificates.hosts if "bad" in key]
    trusted = f"    ssl_trusted_certificate {certificates.root}/live/bad/chain.pem;\n    listen"
    certificates.hosts[key] = certificates.hosts[key].replace("    listen", trusted, 1)
    assert certificates.apply().error == ""
    before = {name: certificates.serial(f"{name}.example") for name in ("good", "bad")}
    assert certificates.workshop is not None
    good, bad = authority.issue("good.example"), authority.issue("bad.example")
    with certificates.workshop.certificates._at.installer.expected():  # so that the first one waits for the second
        ids = [
            certificates.begin(install_certificate=_upload("good", good.fullchain_pem, good.key_pem)),
            certificates.begin(install_certificate=_upload("bad", bad.leaf_pem, bad.key_pem)),
        ]
        results = [certificates.result(command_id) for command_id in ids]
    assert "for 2 certificates" in certificates.text(ids[0])
    assert "Trying again without the other certificates" in certificates.text(ids[0])
    assert results[0].error == "", certificates.text(ids[0])
    assert results[0].install_certificate.served
    assert results[1].install_certificate.rolled_back
    assert certificates.serial("good.example") != before["good"]
    assert certificates.serial("bad.example") == before["bad"]


def test_a_certificate_waits_for_the_apply_that_runs(certificates: CertificateBench) -> None:
    certificates.has_https("turn.example")
    assert certificates.workshop is not None
    action = certificates.apply_action()
    del action.bundle.contents[:]
    action.bundle.files[0].sha256 = "ab" * 32  # a content that nobody has: the apply waits for it
    action.bundle.revision = "cd" * 32
    applying = certificates.begin(seconds=3, apply_config=action)
    certificates.until(lambda: "fetch" in certificates.stages(applying))
    before = certificates.serial("turn.example")
    renewing = certificates.begin(renew_certificate=pb.RenewCertificate(name="turn.example"))
    certificates.until(lambda: "issued" in certificates.stages(renewing))
    assert certificates.result(applying).outcome == pb.CommandResult.FAILED
    assert certificates.result(renewing).error == ""
    assert certificates.serial("turn.example") != before
    ended_at = [line[1] for line in certificates.bench.journal.lines_after(applying, 0, 100)][-1]
    lines = certificates.bench.journal.lines_after(renewing, 0, 100)
    assert next(line[1] for line in lines if line[2] == "installed") >= ended_at


def test_who_waits_for_a_release_looks_after_each_and_can_be_cancelled() -> None:
    turn, looks, guard = Turn(), list[int](), Guard(time.monotonic() + 30)
    waiting = threading.Event()

    def is_so() -> bool:
        looks.append(1)
        waiting.set()
        return len(looks) > 2

    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(turn.wait_until(is_so, 20, guard)))
    thread.start()
    waiting.wait(5)
    turn.release()
    turn.release()
    thread.join(5)
    assert ended == [True]
    assert not turn.wait_until(lambda: False, 0.05, guard)
    guard.cancelled.set()
    with pytest.raises(Cancelled):
        turn.wait_until(lambda: False, 20, guard)


def test_a_lane_does_one_thing_at_a_time_and_lanes_go_beside_each_other() -> None:
    lanes, done, gate = Lanes("test", 2), list[str](), threading.Event()

    def wait() -> None:
        gate.wait(5)
        done.append("a1")

    lanes.put("a", wait)
    lanes.put("a", lambda: done.append("a2"))
    lanes.start()
    lanes.put("b", lambda: done.append("b1"))
    wait_for(lambda: done == ["b1"])
    assert lanes.is_busy("a")
    assert not lanes.is_busy("c")
    gate.set()
    wait_for(lambda: done == ["b1", "a1", "a2"])
    wait_for(lambda: lanes.count() == 0)

    def fail() -> None:
        raise ValueError("a bug")

    lanes.put("a", fail)
    lanes.put("a", lambda: done.append("a3"))
    wait_for(lambda: done[-1] == "a3")
    assert lanes.stop(5)
    lanes.put("a", lambda: done.append("never"))
    assert done[-1] == "a3"


def test_what_nginx_names_is_read_from_the_release(tmp_path: Path) -> None:
    layout, root = Layout(tmp_path / "nginx"), tmp_path / "le"
    layout.make_folders()
    hosts = layout.release("r1") / "hosts"
    hosts.mkdir(parents=True)
    layout.current.symlink_to("releases/r1")

    def write(number: int, names: str, lineage: str) -> None:
        text = f"server {{\n    server_name {names};\n    ssl_certificate {root}/live/{lineage}/fullchain.pem;\n}}\n"
        (hosts / f"{number}.conf").write_text(text)

    write(1, "a.example www.a.example", "one")
    write(2, "*.b.example", "two")
    write(3, ".c.example", "one")
    write(4, "192.0.2.7 ~^x", "three")
    (hosts / "5.conf").write_text(f"server {{\n    ssl_certificate /else{root}/live/four/fullchain.pem;\n}}\n")
    usage = Usage(layout, root)
    assert usage.server_names("one") == ["a.example", "c.example"]
    assert usage.server_names("two") == ["waypost-check.b.example"]
    assert (usage.is_named("three"), usage.server_names("three")) == (True, [])
    assert not usage.is_named("none")
    (layout.release("r2") / "hosts").mkdir(parents=True)
    layout.current.unlink()
    layout.current.symlink_to("releases/r2")
    assert not usage.is_named("one")


def _upload(name: str, fullchain_pem: str, key_pem: str) -> pb.InstallCertificate:
    return pb.InstallCertificate(name=name, fullchain_pem=fullchain_pem.encode(), key_pem=key_pem.encode())
