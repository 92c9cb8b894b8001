"""The process that sends: what it may not do, and that the panel does not carry its libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from panel.notifiers import child, delivery, registry
from panel.notifiers.confinement import refusal_of
from panel.notifiers.delivery import deliver
from panel.notifiers.notifier import Message, NotifierError
from tests.product import ROOT

MESSAGE = Message("Subject", "Text", "info", "reference")


def confined(code: str) -> str:
    """What a confined process prints while it runs the code."""
    program = f"import os, socket, subprocess\nfrom panel.notifiers.confinement import confine\nconfine()\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "code",
    [
        "subprocess.run(['true'])",
        "os.system('true')",
        "os.fork()",
        "os.execv('/bin/true', ['true'])",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "open('/etc/passwd').read()",
        "open('/proc/self/environ').read()",
        "os.open('/etc/passwd', os.O_RDONLY)",
        "open('/usr/../etc/passwd').read()",
        "open('/usr/share/written', 'w')",
        "socket.socket(socket.AF_UNIX).connect('/run/docker.sock')",
        "socket.socket().connect(('169.254.169.254', 80))",
        "socket.socket().connect(('localhost', 80))",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('169.254.169.254', 53))",
        "socket.socket(socket.AF_INET6).connect(('64:ff9b::a9fe:a9fe', 80))",
    ],
)
def test_a_confined_process_is_refused(code: str) -> None:
    assert "panel.notifiers.confinement.Refused" in confined(code)


def test_files_of_the_panel_are_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("s")
    assert "Refused" in confined(f"open({str(tmp_path / 'secret_key')!r})")
    (tmp_path / "link").symlink_to("/etc/shadow")
    assert "Refused" in confined(f"open({str(tmp_path / 'link')!r})")


def test_what_python_itself_needs_is_allowed() -> None:
    assert (
        confined("import mimetypes, ssl, zoneinfo; mimetypes.init(); ssl.create_default_context(); print('fine')")
        == "fine\n"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.5", "192.168.1.1", "::1", "fd12::1", "1.1.1.1", "2606:4700::1"])
def test_private_addresses_are_allowed_because_mail_servers_have_them(host: str) -> None:
    assert refusal_of(host) == ""


@pytest.mark.parametrize(
    "host",
    [
        *("169.254.0.1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "2002:a9fe:a9fe::1"),
        *("64:ff9b::a9fe:a9fe", "fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "/run/x.sock", "", "localhost"),
    ],
)
def test_addresses_that_are_refused(host: str) -> None:
    assert refusal_of(host)


def test_secrets_are_taken_out_in_every_form_of_the_wire() -> None:
    secret = "p@ss/w ord"
    text = "p@ss/w ord, p%40ss/w%20ord, p%40ss%2Fw%20ord, cEBzcy93IG9yZA=="
    assert child.scrub(text, [secret, ""]) == "…, …, …, …"


def test_kinds_have_names_that_a_form_can_carry() -> None:
    assert set(registry.kinds()) == {"smtp", "apprise"}
    for kind, notifier in registry.kinds().items():
        names = [field.name for field in notifier.fields]
        assert len(kind) <= 16
        assert len(names) == len(set(names))
        assert not {"name", "data", "errors", "meta", "csrf_token", "validate", "values", "attach"} & set(names)


def test_the_panel_knows_all_kinds_without_carrying_their_libraries() -> None:
    code = "import sys; from panel.notifiers import registry; registry.kinds(); print('apprise' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False\n"


def test_a_sender_that_breaks_is_told_without_its_words() -> None:
    with pytest.raises(NotifierError, match=r"exit code 1, KeyError") as caught:
        deliver("no-such-kind", {"password": "s3cret"}, MESSAGE)
    assert "no-such-kind" not in str(caught.value)


def test_the_sender_does_not_get_the_panels_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PANEL_SECRET_KEY", "s3cret")
    assert not {name for name in delivery._environment() if name.startswith("PANEL_")}
