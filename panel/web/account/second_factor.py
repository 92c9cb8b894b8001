"""One's own second factor: setting it up, new recovery codes, turning it off.
May import: Flask, panel.web, panel.services and below."""

from __future__ import annotations

from flask import Response, make_response, render_template
from markupsafe import Markup
from werkzeug.wrappers import Response as BaseResponse

from panel import totp
from panel.errors import Invalid, Throttled
from panel.extensions import transaction
from panel.i18n import gettext as _
from panel.services import logins, second_factors
from panel.web import access, device, htmx
from panel.web.account import proof
from panel.web.account.forms import FirstCodeForm, ProofForm

PAGE = "/account/second-factor"


def show() -> Response:
    """What there is now: nothing, a QR code that waits, or a second factor."""
    return _page()


@access.open_to_viewers
def begin() -> BaseResponse:
    """Makes a new secret, which the page then shows until its first code came."""
    form = ProofForm()
    status = proof.refusal_of(access.actor(), form)
    if status:
        return _page(status, proof_form=form)
    with transaction():
        second_factors.begin(access.actor())
    return htmx.go(PAGE)


@access.open_to_viewers
def confirm() -> Response:
    """The first code of the app turns it on; the answer shows the recovery codes, once."""
    form = FirstCodeForm()
    if not form.validate_on_submit():
        return _page(422, code_form=form)
    try:
        with transaction():
            keys = logins.begin_code(access.actor(), device.place(access.actor().username))
        with transaction():
            codes = second_factors.confirm(access.actor(), form.code.data or "")
            logins.finish_code(keys)
    except (Invalid, Throttled) as refusal:
        form.attach(Invalid("code", refusal.message))
        return _page(refusal.status, code_form=form)
    return _show_codes(codes, _("The second factor is on"))


@access.open_to_viewers
def renew_codes() -> Response:
    """New recovery codes, shown once."""
    form = ProofForm()
    status = proof.refusal_of(access.actor(), form)
    if status:
        return _page(status, proof_form=form)
    with transaction():
        codes = second_factors.renew_recovery_codes(access.actor())
    return _show_codes(codes, _("New recovery codes"))


@access.open_to_viewers
def turn_off() -> BaseResponse:
    """From now on the password is enough."""
    form = ProofForm()
    status = proof.refusal_of(access.actor(), form)
    if status:
        return _page(status, proof_form=form)
    with transaction():
        second_factors.turn_off(access.actor())
    htmx.toast(_("The second factor is off. The password alone lets you in."))
    return htmx.go(PAGE)


def _show_codes(codes: list[str], title: str) -> Response:
    return make_response(render_template("account/recovery_codes.html", codes=codes, title=title))


def _page(
    status: int = 200, *, proof_form: ProofForm | None = None, code_form: FirstCodeForm | None = None
) -> Response:
    user = access.actor()
    secret = second_factors.secret(user)
    values = {
        "secret": " ".join(secret[start : start + 4] for start in range(0, len(secret), 4)),
        "uri": totp.uri(secret, user.username, second_factors.ISSUER) if secret else "",
        # Drawn by a library from a text of ours: it holds nothing but paths.
        "qr": Markup(totp.qr_svg(totp.uri(secret, user.username, second_factors.ISSUER))) if secret else "",  # noqa: S704
        "codes_left": second_factors.codes_left(user),
        "proof_form": proof_form or ProofForm(formdata=None),
        "code_form": code_form or FirstCodeForm(formdata=None),
    }
    return make_response(render_template("account/second_factor.html", **values), status)
