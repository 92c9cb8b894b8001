"""Everything that Apprise speaks, by one URL: webhooks, Slack, ntfy, Telegram and about a hundred more.
May import: panel.errors, panel.notifiers.notifier, apprise (only while sending: it is large)."""

from __future__ import annotations

import logging
import re
from typing import Any

from panel.errors import Invalid
from panel.i18n import gettext as _
from panel.i18n import lazy_gettext
from panel.notifiers.notifier import Field, Message, Notifier, NotifierError, Settings

# What speaks to this machine instead of a service: desktops, a lamp, the system's log; and what starts a program.
LOCAL = frozenset(
    {
        *("dbus", "kde", "qt", "glib", "gio", "gnome", "macosx", "windows"),
        *("blink1", "syslog", "rsyslog", "deltachat", "deltachats", "file"),
    }
)
_SCHEMA = re.compile(r"([a-z0-9][a-z0-9+.-]{0,31})://\S+", re.IGNORECASE | re.ASCII)
_LEVELS = {"info": "info", "ok": "success", "warning": "warning", "error": "failure"}
_STATUS = re.compile(r"\berror=(\d{3})\b")
MAX_LENGTH = 2000

# What libraries say of a connection that did not come about, and what that means. The text itself may hold a token.
_CAUSES = (
    (r"Name or service not known|name resolution|getaddrinfo|No address associated", "its name was not found"),
    (r"Connection refused", "nothing listens there"),
    (r"certificate verify failed", "its certificate is not trusted"),
    (r"SSL|TLS", "no encrypted connection came about"),
    (r"timed out|Timeout", "it does not answer"),
    (r"Socket Exception|onnection error", "the connection broke"),
)
_ANSWERS = {
    "401": "does not know the token, user or password in the URL (401). Copy the URL anew from the service",
    "403": "refuses the token, user or password in the URL (403). Copy the URL anew from the service",
    "404": "knows no such address (404). Check the URL: a webhook that was deleted needs a new one",
    "413": "finds the message too large (413)",
    "429": "takes no more messages for the moment (429)",
}


def check(settings: Settings) -> None:
    """Raises Invalid when the URL has no schema or one that stays on this machine. Apprise is asked when sending."""
    url = settings["url"]
    found = _SCHEMA.fullmatch(url)
    if not found or len(url) > MAX_LENGTH or not url.isprintable():
        raise Invalid("url", _("Use one Apprise URL, for example ntfys://ntfy.sh/topic or jsons://example.com/hook."))
    if found.group(1).lower() in LOCAL:
        raise Invalid(
            "url", _("%(lower)s:// does not reach another machine. Use a service's URL.", lower=found.group(1).lower())
        )


def summarize(settings: Settings) -> str:
    """Only the schema: any other part of the URL may be a token."""
    return f"{settings['url'].partition('://')[0].lower()}://…"


def send(settings: Settings, message: Message) -> str:
    """Hands the message to Apprise. Redirects are not followed: they could lead to where nobody wanted to send.

    Raises NotifierError.
    """
    import apprise  # noqa: PLC0415 - 30 MB that only the process that sends shall carry

    heard = _listen()
    asset = apprise.AppriseAsset(
        app_id="Waypost",
        app_desc="Waypost",
        async_mode=False,
        http_redirects=False,
        allow_templates=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        pgp_autogen=False,
        pem_autogen=False,
        service_timeout=25,
    )
    service = _open(apprise, settings["url"], asset)
    taken = service.notify(
        title=message.subject,
        body=message.text,
        notify_type=_LEVELS[message.level],
        body_format=apprise.NotifyFormat.TEXT,
    )
    if not taken:
        raise NotifierError(_explain(str(service.service_name), "\n".join(heard)))
    return ""


def _open(apprise: Any, url: str, asset: Any) -> Any:
    service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is None:
        raise NotifierError(
            "Apprise does not understand this URL. Compare it with the example for your service in Apprise's list."
        )
    if service.schema in LOCAL:
        raise NotifierError("This URL does not reach another machine. Use a service's URL.")
    service.redirects = False  # whatever the URL says
    return service


def _listen() -> list[str]:
    """The list that Apprise's log goes to. It is read for causes and shown to nobody."""
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    log = logging.getLogger("apprise")
    log.handlers, log.propagate = [Ear()], False
    log.setLevel(logging.DEBUG)
    return heard


def _explain(service: str, heard: str) -> str:
    status = _STATUS.search(heard)
    if status:
        return f"{service} {_answered(status.group(1))}."
    for pattern, cause in _CAUSES:
        if re.search(pattern, heard):
            return f"{service} cannot be reached: {cause}. Check the address in the URL, and this machine's network."
    return f"{service} did not take the message. Compare the URL with the example for it in Apprise's list."


def _answered(code: str) -> str:
    if code in _ANSWERS:
        return _ANSWERS[code]
    if code[0] == "3":
        return f"answered with a redirect ({code}), which is not followed. Use the address that it leads to"
    if code[0] == "5":
        return f"has a problem of its own ({code}). Try again later"
    return f"did not take the message ({code}). Compare the URL with the example for it in Apprise's list"


NOTIFIER = Notifier(
    kind="apprise",
    label=lazy_gettext("Webhook, chat or push service"),
    help=lazy_gettext(
        "Any URL that Apprise understands: webhooks (jsons://), ntfy, Slack, Telegram, Matrix and many more."
    ),
    fields=(
        Field(
            "url",
            lazy_gettext("Apprise URL"),
            lazy_gettext(
                "For example ntfys://ntfy.sh/my-topic, slack://TokenA/TokenB/TokenC or jsons://example.com/hook."
            ),
            is_secret=True,
        ),
    ),
    check=check,
    summarize=summarize,
    send=send,
)
