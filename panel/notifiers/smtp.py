"""E-mail through one mail server (RFC 5321, RFC 3207, RFC 8314).
May import: panel.errors, panel.notifiers.notifier."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.errors import MessageError
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from socket import gaierror

from panel.errors import Invalid
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.notifiers.notifier import Field, Message, Notifier, NotifierError, Settings

SECONDS = 10.0  # for each answer of the server
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.:_-]{0,251}[A-Za-z0-9])?|::1")
_ADDRESS = re.compile(r"[^\s@<>,;:\"\\()\[\]]{1,64}@[^\s@<>,;:\"\\()\[\]]{1,253}")
_OWN = {"localhost", "127.0.0.1", "::1"}
MAX_RECIPIENTS = 50

_MEANINGS: dict[type[smtplib.SMTPException], str] = {
    smtplib.SMTPAuthenticationError: "The mail server refused the user or the password ({answer}). Enter both again.",
    smtplib.SMTPSenderRefused: "The mail server refused the sender ({answer}). Use an address that this user may use.",
}
_OTHER = "The mail server did not take the mail ({answer}). Its answer says why."
_WITHOUT_ANSWER: dict[type[smtplib.SMTPException], str] = {
    smtplib.SMTPNotSupportedError: (
        "The mail server does not offer what is set: STARTTLS, or a login. Choose another port or another security."
    ),
    smtplib.SMTPServerDisconnected: (
        "The mail server closed the connection. Check port and security: STARTTLS mostly is 587, TLS 465."
    ),
}
_NO_MAIL_SERVER = "The answers were not those of a mail server. Check the server and the port."


def check(settings: Settings) -> None:
    """Raises Invalid at the field whose shape is wrong."""
    if not _HOST.fullmatch(settings["server"]):
        raise Invalid("server", _("Use the name or address of the mail server, for example smtp.example.com."))
    port = settings["port"]
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise Invalid("port", _("Use a number from 1 to 65535; mail servers mostly listen on 587 or 465."))
    if not _ADDRESS.fullmatch(parseaddr(settings["sender"])[1]) or not settings["sender"].isprintable():
        raise Invalid("sender", _("Use one address, for example waypost@example.com."))
    addresses = recipients(settings)
    bad = [address for address in addresses if not _ADDRESS.fullmatch(address)]
    if bad or not 1 <= len(addresses) <= MAX_RECIPIENTS:
        raise Invalid(
            "recipients",
            _("Use 1 to %(max_recipients)s addresses, with commas or one per line.", max_recipients=MAX_RECIPIENTS),
        )
    if settings["username"] and settings["security"] == "none" and settings["server"] not in _OWN:
        raise Invalid("security", _("The password would cross the network in the clear. Choose STARTTLS or TLS."))
    if settings["username"] and not settings["password"]:
        raise Invalid("password", _("Enter the password of this user, or leave the user empty."))
    _context(settings)


def recipients(settings: Settings) -> list[str]:
    """The addresses of the field, which people separate as they like."""
    return [address for address in re.split(r"[\s,;]+", settings["recipients"]) if address]


def summarize(settings: Settings) -> str:
    """Server and recipients."""
    addresses = recipients(settings)
    more = f" and {len(addresses) - 2} more" if len(addresses) > 2 else ""
    return f"{', '.join(addresses[:2])}{more} by {settings['server']}"


def send(settings: Settings, message: Message) -> str:
    """Gives the mail to the server. A remark names recipients that it refused although it took others."""
    mail = compose(settings, message)
    with _words_for_errors(settings), _connect(settings) as server:
        if settings["username"]:
            server.login(settings["username"], settings["password"])
        refused = server.send_message(mail, to_addrs=recipients(settings))
    if not refused:
        return ""
    return f"The mail server refused {', '.join(sorted(refused))}; the others got the mail. Check these addresses."


def compose(settings: Settings, message: Message) -> EmailMessage:
    """The mail: plain text, said to be automatic (RFC 3834), with the same id whenever it is sent again."""
    mail = EmailMessage()
    mail["Subject"] = message.subject
    mail["From"] = settings["sender"]
    mail["To"] = ", ".join(recipients(settings))
    mail["Date"] = formatdate()
    mail["Message-ID"] = f"<{message.reference}@{parseaddr(settings['sender'])[1].rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(message.text)
    return mail


def _connect(settings: Settings) -> smtplib.SMTP:
    host, port = settings["server"], int(settings["port"])
    if settings["security"] == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=SECONDS, context=_context(settings))
    server = smtplib.SMTP(host, port, timeout=SECONDS)
    if settings["security"] == "starttls":
        try:
            server.starttls(context=_context(settings))
        except BaseException:
            server.close()
            raise
    return server


def _context(settings: Settings) -> ssl.SSLContext:
    """Names and chains are checked, against the person's own authority when one is given."""
    context = ssl.create_default_context()
    if settings["ca_pem"]:
        try:
            context.load_verify_locations(cadata=settings["ca_pem"])
        except (ssl.SSLError, ValueError) as error:
            raise Invalid("ca_pem", _("This is no certificate as PEM. It begins with BEGIN CERTIFICATE.")) from error
    return context


@contextmanager
def _words_for_errors(settings: Settings) -> Iterator[None]:
    """Turns what smtplib raises into a sentence that says what to do."""
    place = f"{settings['server']}, port {settings['port']}"
    try:
        yield
    except smtplib.SMTPException as error:
        raise NotifierError(_spoken(error)) from error
    except ssl.SSLCertVerificationError as error:
        why = f"{error.verify_message}. Use the name in its certificate, or give the authority that issued it"
        raise NotifierError(f"The certificate of {place} is not trusted: {why}.") from error
    except ssl.SSLError as error:
        hint = "STARTTLS mostly belongs to port 587 or 25, TLS to port 465"
        raise NotifierError(f"No encrypted connection with {place} came about. {hint}.") from error
    except gaierror as error:
        raise NotifierError(
            f"The name {settings['server']} was not found. Check it, and this machine's DNS."
        ) from error
    except TimeoutError as error:
        raise NotifierError(f"{place} does not answer. Check the address, and firewalls on the way.") from error
    except OSError as error:
        why = error.strerror or "the connection broke"
        raise NotifierError(f"{place} cannot be reached ({why}). Check the address and the port.") from error
    except (MessageError, UnicodeError, ValueError) as error:
        raise NotifierError(
            "The mail could not be written with these addresses. Check sender and recipients."
        ) from error


def _spoken(error: smtplib.SMTPException) -> str:
    """What the server said, and what to do about it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, words = next(iter(error.recipients.values()))
        return f"The mail server refused every recipient ({_words(code, words)}). Check the addresses."
    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 200:
        return _MEANINGS.get(type(error), _OTHER).format(answer=_words(error.smtp_code, error.smtp_error))
    return _WITHOUT_ANSWER.get(type(error), _NO_MAIL_SERVER)


def _words(code: int, words: bytes | str) -> str:
    """The server's words, short and printable: they are shown to people."""
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    return f"{code} {' '.join(text.split())[:200]}".strip()


NOTIFIER = Notifier(
    kind="smtp",
    label=lazy_gettext("E-mail"),
    help=lazy_gettext("Through a mail server that takes mail from this machine."),
    fields=(
        Field("server", lazy_gettext("Mail server"), lazy_gettext("For example smtp.example.com."), is_target=True),
        Field(
            "port", lazy_gettext("Port"), lazy_gettext("587 for STARTTLS, 465 for TLS."), default="587", is_target=True
        ),
        Field(
            "security",
            lazy_gettext("Security"),
            choices=(
                ("starttls", "STARTTLS"),
                ("tls", lazy_gettext("TLS from the start")),
                ("none", lazy_gettext("None")),
            ),
            default="starttls",
            is_target=True,
        ),
        Field("username", lazy_gettext("User"), lazy_gettext("Empty when the server asks for none."), is_optional=True),
        Field("password", lazy_gettext("Password"), is_secret=True, is_optional=True),
        Field("sender", lazy_gettext("From"), lazy_gettext("The address that mails come from.")),
        Field(
            "recipients", lazy_gettext("To"), lazy_gettext("One address per line, or with commas."), is_multiline=True
        ),
        Field(
            "ca_pem",
            lazy_gettext("Own certificate authority"),
            lazy_gettext("As PEM; only when the server's certificate comes from an authority of your own."),
            is_optional=True,
            is_multiline=True,
            is_target=True,
        ),
    ),
    check=check,
    summarize=summarize,
    send=send,
)
