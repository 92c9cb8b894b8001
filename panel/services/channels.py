"""Notification channels: where news goes to. Their settings are sealed, and secrets only go in.
May import: panel.notifiers, panel.vault, panel.services.{context,events}, panel.models, panel.extensions and below."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete as delete_from
from sqlalchemy import select, update

from panel.config import Config
from panel.errors import Forbidden, Invalid, NotFound
from panel.extensions import db, wake_after_commit
from panel.i18n import gettext as _
from panel.models import Notification, NotificationChannel, User
from panel.models.types import utcnow
from panel.notifiers import registry
from panel.notifiers.notifier import Notifier
from panel.services import context, events
from panel.vault import Vault, VaultError

MAX_NAME = 64
MAX_VALUE = 20_000
MAX_CHANNELS = 50
NOUN = "notification_channel"


@dataclass(frozen=True)
class Stored:
    """What a channel's seal holds. Its secrets are for the notifier; `set_at` says when each was entered."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    set_at: Mapping[str, datetime] = field(default_factory=dict)


def list_all() -> Sequence[NotificationChannel]:
    """Every channel, by name."""
    return db.session.scalars(select(NotificationChannel).order_by(NotificationChannel.name)).all()


def get(channel_id: int) -> NotificationChannel:
    """The channel with this id. Raises NotFound."""
    channel = db.session.get(NotificationChannel, channel_id)
    if channel is None:
        raise NotFound(_("There is no such channel. It may have been deleted."))
    return channel


def kind(name: str) -> Notifier:
    """The kind of this name. Raises NotFound."""
    found = registry.kinds().get(name)
    if found is None:
        raise NotFound(_("There is no such kind of channel. Choose one from the list."))
    return found


def open_stored(channel: NotificationChannel, config: Config) -> Stored:
    """The settings, opened. Raises VaultError when the panel's secret key is another one now."""
    text = Vault(config.secret_key).open(channel.sealed_settings)
    data = json.loads(text) if text else {"values": {}, "set_at": {}}
    return Stored(data["values"], {name: datetime.fromisoformat(at) for name, at in data["set_at"].items()})


def create(
    name: str, kind_name: str, values: Mapping[str, str], actor: User | None, config: Config
) -> NotificationChannel:
    """A new channel, switched on. Raises Forbidden, NotFound, or Invalid at "name" or a field of the kind."""
    _require_administrator(actor)
    notifier = kind(kind_name)
    if len(list_all()) >= MAX_CHANNELS:
        raise Invalid(
            "name",
            _("There are %(max_channels)s channels already. Delete one that nobody needs.", max_channels=MAX_CHANNELS),
        )
    name = _parse_name(name, None)
    now = utcnow()
    sealed = _seal(_merge(notifier, values, Stored(), now), config)
    channel = NotificationChannel(name=name, kind=notifier.kind, sealed_settings=sealed, created_at=now, changed_at=now)
    db.session.add(channel)
    db.session.flush()
    _changed(channel, "create", actor, after=describe(channel, config))
    return channel


def update_settings(
    channel: NotificationChannel, name: str, values: Mapping[str, str], actor: User | None, config: Config
) -> None:
    """Other settings; a secret that is left empty stays as it is. Raises Forbidden or Invalid."""
    _require_administrator(actor)
    notifier = kind(channel.kind)
    try:
        stored = open_stored(channel, config)
    except VaultError:
        stored = Stored()  # nothing can be kept: every secret must be entered again
    before = describe(channel, config)
    name = _parse_name(name, channel)
    merged = _merge(notifier, values, stored, utcnow())
    channel.name = name
    channel.sealed_settings = _seal(merged, config)
    channel.last_error = ""
    after = describe(channel, config)
    for secret in notifier.secrets:
        if after.get(secret) and stored.values.get(secret) and merged.values[secret] != stored.values[secret]:
            after[secret] = events.CHANGED
    _changed(channel, "update", actor, before=before, after=after)


def set_enabled(channel: NotificationChannel, actor: User | None, *, enabled: bool) -> None:
    """Switches the channel on or off; off, what waits for it is not sent any more. Raises Forbidden."""
    _require_administrator(actor)
    before = {"is_enabled": channel.is_enabled}
    channel.is_enabled = enabled
    if not enabled:
        waiting = (Notification.channel_id == channel.id, Notification.next_attempt_at.is_not(None))
        said = {"next_attempt_at": None, "error": "The channel was switched off before this was sent."}
        db.session.execute(update(Notification).where(*waiting).values(**said))
    _changed(channel, "enable" if enabled else "disable", actor, before=before, after={"is_enabled": enabled})


def delete(channel: NotificationChannel, actor: User | None) -> None:
    """Removes the channel and what was sent by it. Raises Forbidden."""
    _require_administrator(actor)
    before = describe(channel, context.config())
    db.session.execute(delete_from(Notification).where(Notification.channel_id == channel.id))
    _changed(channel, "delete", actor, before=before)
    db.session.delete(channel)
    db.session.flush()


def describe(channel: NotificationChannel, config: Config) -> dict[str, Any]:
    """The values that people set, as the audit log keeps them; of each secret only that it is set."""
    known: dict[str, Any] = {"name": channel.name, "kind": channel.kind, "is_enabled": channel.is_enabled}
    try:
        values = open_stored(channel, config).values
    except VaultError:  # the secret key is another one now: what is sealed is lost
        return known
    notifier = registry.kinds().get(channel.kind)
    for one in notifier.fields if notifier else ():
        value = values.get(one.name, "")
        known[one.name] = events.SET if one.is_secret and value else value
    return known


def _changed(
    channel: NotificationChannel,
    verb: str,
    actor: User | None,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> None:
    channel.changed_at = utcnow()
    db.session.flush()
    events.record(actor, NOUN, verb, channel.id, channel.name, before=before, after=after)
    wake_after_commit("notifications")


def _merge(notifier: Notifier, values: Mapping[str, str], stored: Stored, now: datetime) -> Stored:
    """The new settings, checked. Raises Invalid."""
    new, set_at = {}, dict(stored.set_at)
    for one in notifier.fields:
        text = values.get(one.name, "").strip()
        if one.is_secret and text:
            set_at[one.name] = now
        elif one.is_secret:
            text = stored.values.get(one.name, "")
        _check_field(one.name, text, [value for value, _label in one.choices], optional=one.is_optional)
        new[one.name] = text
    notifier.check(new)
    _refuse_moved_secrets(notifier, values, new, stored)
    return Stored(new, set_at)


def _check_field(name: str, text: str, choices: Sequence[str], *, optional: bool) -> None:
    if not text and not optional:
        raise Invalid(name, _("Enter a value."))
    if len(text) > MAX_VALUE:
        raise Invalid(name, _("Use at most %(max_value)s characters.", max_value=f"{MAX_VALUE:,}"))
    if choices and text not in choices:
        raise Invalid(name, _("Choose one of the values."))


def _refuse_moved_secrets(
    notifier: Notifier, values: Mapping[str, str], new: Mapping[str, str], stored: Stored
) -> None:
    """A stored secret goes only where it was meant to go: who names another place must know it."""
    moved = [
        one
        for one in notifier.fields
        if one.is_target and stored.values and new[one.name] != stored.values.get(one.name)
    ]
    for name in notifier.secrets:
        if moved and new[name] and not values.get(name, "").strip():
            raise Invalid(
                name, _("Enter it again: %(label)s has changed, and this would be sent there.", label=moved[0].label)
            )


def _parse_name(text: str, channel: NotificationChannel | None) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        raise Invalid("name", _("Use 1 to %(max_name)s characters.", max_name=MAX_NAME))
    other = db.session.scalar(select(NotificationChannel.id).where(NotificationChannel.name == name))
    if other is not None and (channel is None or other != channel.id):
        raise Invalid("name", _("There is already a channel with the name %(name)s. Choose another name.", name=name))
    return name


def _seal(stored: Stored, config: Config) -> str:
    data = {"values": dict(stored.values), "set_at": {name: at.isoformat() for name, at in stored.set_at.items()}}
    return Vault(config.secret_key).seal(json.dumps(data))


def _require_administrator(actor: User | None) -> None:
    if actor is not None and not actor.may_administer:
        raise Forbidden(_("Only administrators change where news goes. Ask one of them."))
