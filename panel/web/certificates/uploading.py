"""The upload form at work: a certificate from elsewhere, new or in the place of an old one.
May import: panel.web, panel.services and below."""

from __future__ import annotations

from flask import Response, render_template, request
from werkzeug.wrappers import Response as BaseResponse

from panel.errors import Conflict, Invalid
from panel.extensions import transaction
from panel.models import Certificate
from panel.nginx.grammar import display_name
from panel.services import agents, certificates
from panel.web import htmx
from panel.web.access import actor
from panel.web.certificates.forms import UploadForm
from panel.web.certificates.requesting import require_editor


def upload() -> BaseResponse:
    """A certificate that is new here. Its job comes next."""
    return _upload(None)


def replace(certificate_id: int) -> BaseResponse:
    """The next one in the place of an old one: hosts that use that keep using it."""
    return _upload(certificates.get(certificate_id))


def _upload(old: Certificate | None) -> BaseResponse:
    require_editor()
    form = UploadForm(data={"agent_id": old.agent_id if old else ""})
    form.offer_agents(agent for agent in agents.list_all() if not agent.is_revoked)
    if request.method == "GET":
        return _answer(form, old)
    if not form.validate():
        return _answer(form, old, 422)
    try:
        address = _send(form, None if old is None else old.id)
    except Invalid as refusal:
        form.attach(refusal)
        return _answer(form, old, 422)
    except Conflict as refusal:
        return _answer(form, old, refusal.status, refusal.message)
    return htmx.go(address)


def _send(form: UploadForm, old_id: int | None) -> str:
    """The address of the job."""
    with transaction():
        old = None if old_id is None else certificates.get(old_id)
        command = certificates.upload(
            str(form.agent_id.data or "") if old is None else old.agent_id,
            form.certificate_pem.data or "",
            form.chain_pem.data or "",
            form.key_pem.data or "",
            form.passphrase.data or "",
            actor=actor(),
            replaces=old,
        )
        return f"/jobs/{command.id}"


def _answer(form: UploadForm, old: Certificate | None, status: int = 200, trouble: str = "") -> BaseResponse:
    form.forget_secrets()
    name = display_name(old.names[0]) if old and old.names else ""
    return Response(
        render_template("certificates/upload.html", form=form, certificate=old, name=name, trouble=trouble), status
    )
