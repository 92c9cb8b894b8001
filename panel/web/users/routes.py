"""The users pages: who may come in, as what, and invitations. For administrators only.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, current_app, make_response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.config import Config
from panel.errors import Invalid
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.i18n import midst
from panel.models import Role, User
from panel.models.types import utcnow
from panel.services import accounts, browser_sessions, invitations, second_factors
from panel.web import htmx
from panel.web.access import actor, administrators_only
from panel.web.audit import offer
from panel.web.filters import role as role_word
from panel.web.live import registry
from panel.web.users import view
from panel.web.users.forms import InvitationForm, RoleForm

bp = Blueprint("users", __name__)


@bp.get("/users")
@administrators_only
def index() -> str:
    """Everybody, and the invitations that are open."""
    return render_template("users/index.html", users=view.users(actor()), invitations=view.open_invitations())


@bp.get("/users/<int:user_id>")
@administrators_only
def show(user_id: int) -> str:
    """One person, and what can be done about them."""
    return _page(accounts.get_by_id(user_id))


@bp.route("/users/invite", methods=["GET", "POST"])
@administrators_only
def invite() -> BaseResponse:
    """Makes an invitation; the answer shows its link, once."""
    form = InvitationForm()
    if request.method == "GET":
        return make_response(render_template("users/invite.html", form=form))
    if not form.validate():
        return make_response(render_template("users/invite.html", form=form), 422)
    try:
        with transaction():
            row, token = invitations.create(Role(form.role.data), form.note.data or "", form.days.data, actor())
            values = {"note": row.note, "role": row.role, "expires_at": row.expires_at}
    except Invalid as refusal:
        form.attach(refusal)
        return make_response(render_template("users/invite.html", form=form), 422)
    return make_response(render_template("users/invited.html", link=_link(token), **values))


@bp.post("/users/invitations/<int:invitation_id>/take-back")
@administrators_only
def take_back(invitation_id: int) -> BaseResponse:
    """The link stops working."""
    with transaction():
        invitations.take_back(invitation_id, actor())
    htmx.toast(_("Invitation taken back. Its link does not work any more."))
    return htmx.go("/users")


@bp.post("/users/<int:user_id>/role")
@administrators_only
def set_role(user_id: int) -> BaseResponse:
    """Another role, at once."""
    form = RoleForm()
    if not form.validate():
        raise Invalid("role", _("Choose one of the roles."))
    role = Role(form.role.data)
    return _change(
        user_id,
        lambda user: accounts.set_role(user, role, actor()),
        _("is %(role)s now. Sessions have ended.", role=midst(role_word(role))),
    )


@bp.post("/users/<int:user_id>/disable")
@administrators_only
def disable(user_id: int) -> BaseResponse:
    """Shuts somebody out."""
    return _change(user_id, lambda user: accounts.disable(user, actor()), _("is disabled and logged out everywhere."))


@bp.post("/users/<int:user_id>/enable")
@administrators_only
def enable(user_id: int) -> BaseResponse:
    """Lets somebody in again."""
    return _change(user_id, lambda user: accounts.enable(user, actor()), _("may log in again."))


@bp.post("/users/<int:user_id>/end-sessions")
@administrators_only
def end_sessions(user_id: int) -> BaseResponse:
    """Logs somebody out everywhere."""
    return _change(user_id, lambda user: accounts.end_sessions(user, actor()), _("is logged out everywhere."))


@bp.post("/users/<int:user_id>/reset-second-factor")
@administrators_only
def reset_second_factor(user_id: int) -> BaseResponse:
    """For a lost phone: the password alone lets the person in, until they set the second factor up again."""
    return _change(
        user_id, lambda user: second_factors.reset(user, actor()), _("has no second factor now, and is logged out.")
    )


def _change(user_id: int, act: Callable[[User], None], sentence: str) -> BaseResponse:
    with transaction():
        user = accounts.get_by_id(user_id)
        act(user)
        name = user.username
        undo_url = offer.undo_url("user")
    htmx.toast(f"{name} {sentence}", undo_url=undo_url)
    return htmx.go(f"/users/{user_id}")


def _page(user: User) -> str:
    form = RoleForm(formdata=None, role=user.role)
    return render_template("users/show.html", form=form, **_values(user))


def _values(user: User) -> dict[str, Any]:
    return {
        "person": user,
        "ways_in": view.ways_in(user),
        "sessions": browser_sessions.list_for(user, utcnow()),
        "is_last_administrator": accounts.is_last_administrator(user),
        "is_me": user.id == actor().id,
    }


def _regions() -> dict[str, str]:
    """Regions for `/live?topics=users` (the list) or with `&user=1` (one person); for administrators only."""
    if not actor().may_administer:
        return {}
    user_id = request.args.get("user", type=int)
    if user_id is None:
        return {
            "#people": render_template("users/_people.html", users=view.users(actor())),
            "#invitations": render_template("users/_invitations.html", invitations=view.open_invitations()),
        }
    person = next((one for one in accounts.list_all() if one.id == user_id), None)
    if person is None:
        return {}
    values = _values(person)
    return {
        "#user-facts": render_template("users/_facts.html", **values),
        "#user-access": render_template("users/_access.html", **values),
    }


def _link(token: str) -> str:
    config: Config = current_app.config["WAYPOST"]
    return f"{config.public_url or request.url_root.rstrip('/')}/invite?{urlencode({'token': token})}"


registry.register("users", _regions, news=("audit", "sessions"))
