"""The settings' page about notifications: channels, adding, changing and testing them, and what was sent.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, current_app, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from panel.config import Config
from panel.errors import Invalid
from panel.extensions import db, transaction
from panel.i18n import gettext as _
from panel.models.types import utcnow
from panel.notifiers import registry
from panel.notifiers.notifier import Notifier
from panel.services import channels, deliveries, notifications
from panel.services.channels import Stored
from panel.vault import VaultError
from panel.web import htmx
from panel.web.access import actor, administrators_only
from panel.web.audit import offer
from panel.web.live.registry import register
from panel.web.notifications import forms, live, view
from panel.web.notifications.forms import ChannelForm

bp = Blueprint("notifications", __name__)
register("notifications", live.regions)


@bp.get("/settings/notifications")
def index() -> str:
    """The channels and whether they work; what was sent when to whom."""
    shown = [view.channel(row, _config()) for row in channels.list_all()]
    page = notifications.list_page(request.args.get("page", 1, type=int))
    messages = [view.message(row) for row in page.items]
    return render_template("notifications/index.html", channels=shown, messages=messages, page=page)


@bp.route("/settings/notifications/new", methods=["GET", "POST"])
@administrators_only
def create() -> BaseResponse:
    """Without a kind the choice of one, with a kind its form."""
    kind = request.args.get("kind", "")
    if not kind:
        return make_response(render_template("notifications/kinds.html", kinds=registry.kinds().values()))
    notifier = channels.kind(kind)
    form = forms.build(notifier)
    if request.method == "GET":
        return _answer(form, notifier)
    if not form.validate():
        return _answer(form, notifier, status=422)
    try:
        with transaction():
            name = channels.create(form.name.data or "", kind, form.values(notifier), actor(), _config()).name
    except Invalid as refusal:
        form.attach(refusal)
        return _answer(form, notifier, status=422)
    htmx.toast(_("Channel %(name)s added. Send a test to see that it works.", name=name))
    return _to_list()


@bp.route("/settings/notifications/<int:channel_id>", methods=["GET", "POST"])
@administrators_only
def edit(channel_id: int) -> BaseResponse:
    """Other settings. Secrets only go in: the form says since when one is stored."""
    channel = channels.get(channel_id)
    notifier = channels.kind(channel.kind)
    try:
        stored = channels.open_stored(channel, _config())
    except VaultError:
        stored = Stored()
    form = forms.build(notifier, channel.name, stored)
    values: dict[str, Any] = {"channel": view.channel(channel, _config()), "stored": stored}
    if request.method == "GET":
        return _answer(form, notifier, **values)
    if not form.validate():
        return _answer(form, notifier, status=422, **values)
    try:
        with transaction():
            channel = channels.get(channel_id)
            channels.update_settings(channel, form.name.data or "", form.values(notifier), actor(), _config())
            name = channel.name
    except Invalid as refusal:
        form.attach(refusal)
        return _answer(form, notifier, status=422, **values)
    htmx.toast(_("Channel %(name)s saved. Send a test to see that it works.", name=name))
    return _to_list()


@bp.post("/settings/notifications/<int:channel_id>/test")
@administrators_only
def test(channel_id: int) -> BaseResponse:
    """Sends a test message at once and waits for the answer, which the channel then shows."""
    channel = channels.get(channel_id)
    name = channel.name
    parcel = deliveries.pack_test(channel, utcnow(), _config())
    db.session.rollback()  # the connection is not kept while the message is on its way
    outcome = deliveries.send(parcel)
    with transaction():
        deliveries.settle(parcel, outcome, utcnow())
    if outcome.error:
        htmx.toast(
            _("The test message of %(name)s was not taken: %(error)s", name=name, error=outcome.error), kind="bad"
        )
    else:
        htmx.toast(
            _("Test message sent by %(name)s. %(remark)s", name=name, remark=outcome.remark).strip(),
            kind="warn" if outcome.remark else "ok",
        )
    return _to_list()


@bp.post("/settings/notifications/<int:channel_id>/enable")
@administrators_only
def enable(channel_id: int) -> BaseResponse:
    """News goes there again from now on."""
    return _switch(channel_id, enabled=True)


@bp.post("/settings/notifications/<int:channel_id>/disable")
@administrators_only
def disable(channel_id: int) -> BaseResponse:
    """Nothing goes there any more; its settings stay."""
    return _switch(channel_id, enabled=False)


@bp.post("/settings/notifications/<int:channel_id>/delete")
@administrators_only
def delete(channel_id: int) -> BaseResponse:
    """Forgets the channel, its secrets and what was sent by it."""
    with transaction():
        channel = channels.get(channel_id)
        name = channel.name
        channels.delete(channel, actor())
    htmx.toast(_("Channel %(name)s deleted.", name=name))
    return _to_list()


def _switch(channel_id: int, *, enabled: bool) -> BaseResponse:
    with transaction():
        channel = channels.get(channel_id)
        channels.set_enabled(channel, actor(), enabled=enabled)
        name = channel.name
        undo_url = offer.undo_url("notification_channel")
    htmx.toast(
        _("Channel %(name)s is %(value)s.", name=name, value=_("on") if enabled else _("off")), undo_url=undo_url
    )
    return _to_list()


def _answer(
    form: ChannelForm, notifier: Notifier, *, status: int = 200, stored: Stored | None = None, **values: Any
) -> BaseResponse:
    hints = forms.hints(notifier, stored)
    return make_response(
        render_template("notifications/edit.html", form=form, kind=notifier, hints=hints, **values), status
    )


def _to_list() -> BaseResponse:
    return htmx.go(url_for("notifications.index"))


def _config() -> Config:
    config: Config = current_app.config["WAYPOST"]
    return config
