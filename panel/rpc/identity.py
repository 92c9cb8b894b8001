"""Who calls: the agent's id from its certificate and from nowhere else.
May import: grpc, panel.pki, panel.services, panel.extensions."""

from __future__ import annotations

import logging
from typing import NoReturn, cast

import grpc
from flask import Flask

from panel.models.types import utcnow
from panel.pki import read_identity
from panel.services import enrollments

log = logging.getLogger(__name__)


def admit(app: Flask, context: grpc.ServicerContext) -> tuple[str, str]:
    """(agent id, certificate serial) of the caller. Ends the call when it may not come in."""
    try:
        certificate = cast("bytes", context.auth_context()["x509_pem_cert"][0])
        agent_id, serial = read_identity(certificate)
    except (KeyError, IndexError, ValueError):
        _refuse(context, grpc.StatusCode.UNAUTHENTICATED, "This certificate is not an agent's.")
    if not is_admitted(app, agent_id, serial):
        log.warning("refused agent %s: certificate %s is unknown, revoked or over", agent_id, serial)
        _refuse(context, grpc.StatusCode.PERMISSION_DENIED, _refusal(app, agent_id))
    return agent_id, serial


def is_admitted(app: Flask, agent_id: str, serial: str) -> bool:
    """Whether the certificate still opens a stream; looked up each time, because it may be revoked meanwhile."""
    with app.app_context():
        return enrollments.is_admitted(agent_id, serial, utcnow())


def _refusal(app: Flask, agent_id: str) -> str:
    with app.app_context():
        return enrollments.refusal(agent_id)


def _refuse(context: grpc.ServicerContext, code: grpc.StatusCode, sentence: str) -> NoReturn:
    log.info("refused %s: %s", context.peer(), sentence)
    context.abort(code, sentence)
