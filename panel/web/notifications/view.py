"""What the page about notifications shows, as plain values: channels and messages.
May import: panel.models, panel.services, panel.vault."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from panel.config import Config
from panel.i18n import gettext as _
from panel.models import Notification, NotificationChannel
from panel.services import channels
from panel.vault import VaultError


@dataclass(frozen=True)
class ChannelView:
    """One channel: where messages go, whether it works."""

    id: int
    name: str
    kind: str
    goes_to: str
    tone: str
    word: str
    error: str
    last_sent_at: datetime | None
    is_enabled: bool


@dataclass(frozen=True)
class MessageView:
    """One message to one channel, and what became of it."""

    subject: str
    url: str
    tone: str
    channel: str
    result_tone: str
    result: str
    error: str
    created_at: datetime
    moment: datetime | None


def channel(row: NotificationChannel, config: Config) -> ChannelView:
    """The channel without its secrets."""
    tone, word = _state(row)
    notifier = channels.kind(row.kind)
    try:
        goes_to = notifier.summarize(channels.open_stored(row, config).values)
        error = row.last_error
    except VaultError as refusal:
        goes_to, error, tone, word = _("not known"), str(refusal), "bad", _("Cannot send")
    return ChannelView(
        row.id, row.name, notifier.label, goes_to, tone, word, error, row.last_sent_at, is_enabled=row.is_enabled
    )


def message(row: Notification) -> MessageView:
    """The message as the list shows it."""
    tone, word, moment = _result(row)
    level = {"error": "bad", "warning": "warn", "ok": "ok"}.get(row.level, "info")
    shown = "off" if level == "info" else level
    return MessageView(row.subject, row.url, shown, row.channel.name, tone, word, row.error, row.created_at, moment)


def _state(row: NotificationChannel) -> tuple[str, str]:
    if not row.is_enabled:
        return "off", _("Off")
    if row.last_error:
        return "bad", _("Has a problem")
    return ("ok", _("Works")) if row.last_sent_at else ("off", _("Not tried yet"))


def _result(row: Notification) -> tuple[str, str, datetime | None]:
    """Tone, word, and the moment that belongs to it."""
    if row.sent_at:
        return "ok", _("Sent"), row.sent_at
    if row.next_attempt_at is None:
        return "bad", _("Not sent"), None
    if row.error:
        return "warn", _("Tried again"), row.next_attempt_at
    return "run", _("Waiting"), None
