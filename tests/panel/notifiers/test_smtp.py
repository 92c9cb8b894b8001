"""Mail through a real server: STARTTLS, logins, refusals and their words."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from panel.errors import Invalid
from panel.notifiers import smtp
from panel.notifiers.delivery import deliver
from panel.notifiers.notifier import Message, NotifierError
from tests.panel.notifiers.far_side import PASSWORD, USER, MailServer, running_mail_server
from tests.product import free_ports

MESSAGE = Message("Certificate app.example.com could not be renewed", "Zoë,\n\nit failed.\n", "error", "waypost.7.abc")


def settings(mail: MailServer, /, **changes: str) -> dict[str, str]:
    values = {"server": "127.0.0.1", "port": str(mail.port), "security": "none", "username": "", "password": ""}
    values |= {
        "sender": "Waypost <waypost@example.com>",
        "recipients": "ops@example.com, eve@example.com",
        "ca_pem": "",
    }
    return values | changes


def secure_settings(mail: MailServer, /, **changes: str) -> dict[str, str]:
    known = {"security": "starttls", "username": USER, "password": PASSWORD, "ca_pem": mail.ca_pem}
    return settings(mail, **{**known, **changes})


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    with running_mail_server(tmp_path) as server:
        yield server


@pytest.fixture
def secure_server(tmp_path: Path) -> Iterator[MailServer]:
    with running_mail_server(tmp_path, secure=True, echo=True) as server:
        yield server


def test_a_mail_says_that_it_is_automatic_and_keeps_its_id(mail_server: MailServer) -> None:
    for _ in range(2):
        assert deliver("smtp", settings(mail_server), MESSAGE) == ""
    first, second = mail_server.mails
    assert first["Subject"] == MESSAGE.subject
    assert first["Auto-Submitted"] == "auto-generated"
    assert first["Message-ID"] == second["Message-ID"] == "<waypost.7.abc@example.com>"
    assert first["Date"]
    assert first.get_content_type() == "text/plain"
    assert first.get_payload(decode=True) == MESSAGE.text.replace("\n", "\r\n").encode()
    assert mail_server.recipients[0] == ["ops@example.com", "eve@example.com"]


def test_starttls_and_a_login(secure_server: MailServer) -> None:
    assert deliver("smtp", secure_settings(secure_server), MESSAGE) == ""
    assert len(secure_server.mails) == 1


def test_a_refused_login_says_so_and_hides_what_the_server_repeats(secure_server: MailServer) -> None:
    with pytest.raises(NotifierError, match="refused the user or the password") as caught:
        deliver("smtp", secure_settings(secure_server, password="an-0ther Secret"), MESSAGE)
    assert "535" in str(caught.value)
    assert "an-0ther Secret" not in str(caught.value)
    assert secure_server.mails == []


def test_a_certificate_of_nobody_known_is_refused(secure_server: MailServer) -> None:
    with pytest.raises(NotifierError, match="is not trusted"):
        deliver("smtp", secure_settings(secure_server, ca_pem=""), MESSAGE)


def test_a_certificate_for_another_name_is_refused(secure_server: MailServer) -> None:
    with pytest.raises(NotifierError, match="is not trusted"):
        deliver("smtp", secure_settings(secure_server, server="localhost"), MESSAGE)


def test_no_mail_goes_in_the_clear_when_encryption_is_wanted(mail_server: MailServer) -> None:
    with pytest.raises(NotifierError, match="does not offer what is set"):
        deliver("smtp", settings(mail_server, security="starttls"), MESSAGE)
    assert mail_server.mails == []


def test_one_refused_recipient_is_told_and_the_others_get_it_once(mail_server: MailServer) -> None:
    mail_server.refused = {"eve@example.com"}
    remark = deliver("smtp", settings(mail_server), MESSAGE)
    assert "refused eve@example.com" in remark
    assert mail_server.recipients == [["ops@example.com"]]


@pytest.mark.parametrize(
    ("answer", "refused", "words"),
    [
        (
            "554 5.7.1 looks like\x07 spam {answer}",
            set(),
            r"did not take the mail \(554 5.7.1 looks like spam \{answer\}\)",
        ),
        ("452 4.3.1 disk full", set(), r"did not take the mail \(452 4.3.1 disk full\)"),
        ("250 OK", {"ops@example.com", "eve@example.com"}, r"refused every recipient \(550 no such person here\)"),
    ],
)
def test_the_servers_words_are_shown(mail_server: MailServer, answer: str, refused: set[str], words: str) -> None:
    mail_server.answer, mail_server.refused = answer, refused
    with pytest.raises(NotifierError, match=words):
        deliver("smtp", settings(mail_server), MESSAGE)


@contextmanager
def something_else(says: bytes | None) -> Iterator[int]:
    """A listener that answers each connection with these bytes, or never."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept = []

        def serve() -> None:
            try:
                while True:
                    connection = listener.accept()[0]
                    kept.append(connection)
                    if says is not None:
                        connection.sendall(says)
                        connection.close()
            except OSError:
                return

        Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])
        for connection in kept:
            connection.close()


def test_a_silent_server_is_given_up() -> None:
    with something_else(None) as port, pytest.raises(NotifierError, match="No answer came within 2 seconds"):
        deliver("smtp", settings(MailServer(port=port)), MESSAGE, timeout=2)


@pytest.mark.parametrize(
    ("says", "security", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "none", "not those of a mail server"),
        (b"220 plain text\r\n", "tls", "No encrypted connection"),
        (b"", "starttls", "closed the connection"),
    ],
)
def test_what_is_no_mail_server_is_called_so(says: bytes, security: str, words: str) -> None:
    with something_else(says) as port, pytest.raises(NotifierError, match=words):
        deliver("smtp", settings(MailServer(port=port), security=security), MESSAGE)


def test_where_nothing_listens() -> None:
    with pytest.raises(NotifierError, match="cannot be reached"):
        deliver("smtp", settings(MailServer(port=free_ports(1)[0])), MESSAGE)


def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(NotifierError, match="was not found"):
        deliver("smtp", settings(MailServer(port=25), server="mail.invalid"), MESSAGE)


@pytest.mark.parametrize("server", ["169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "2852039166", "0.0.0.0"])
def test_the_machines_own_network_services_are_not_asked(server: str) -> None:
    with pytest.raises(NotifierError, match=r"nothing is sent there|not the address of one machine"):
        deliver("smtp", settings(MailServer(port=80), server=server), MESSAGE)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"server": ""}, "server"),
        ({"server": "smtp.example.com\r\nX: y"}, "server"),
        ({"server": "file:///etc/passwd"}, "server"),
        ({"port": "0"}, "port"),
        ({"port": "65536"}, "port"),
        ({"port": "²"}, "port"),
        ({"sender": "nobody"}, "sender"),
        ({"sender": "a@example.com\r\nBcc: all@example.com"}, "sender"),
        ({"recipients": ""}, "recipients"),
        ({"recipients": "a@example.com, b"}, "recipients"),
        ({"recipients": ",".join(f"p{number}@example.com" for number in range(51))}, "recipients"),
        ({"username": "u", "password": "p", "server": "smtp.example.com"}, "security"),
        ({"username": "u", "security": "tls"}, "password"),
        ({"ca_pem": "-----BEGIN CERTIFICATE-----\nx"}, "ca_pem"),
    ],
)
def test_shapes_that_are_refused(changes: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        smtp.check(settings(MailServer(port=587), **changes))
    assert caught.value.field == field
