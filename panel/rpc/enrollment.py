"""The Enrollment service: the one call of an agent that has no certificate yet.
May import: protos, panel.rpc.text, panel.services, panel.pki and below."""

from __future__ import annotations

import logging

import grpc
from flask import Flask

from panel.errors import Forbidden, Invalid
from panel.extensions import transaction
from panel.models.types import utcnow
from panel.pki import Authority
from panel.rpc.text import clean
from panel.services import enrollments
from protos import command_stream_pb2 as pb
from protos import command_stream_pb2_grpc

log = logging.getLogger(__name__)


class EnrollmentServicer(command_stream_pb2_grpc.EnrollmentServicer):
    """Exchanges join tokens for certificates."""

    def __init__(self, app: Flask, authority: Authority) -> None:
        self._app = app
        self._authority = authority

    def Enroll(  # noqa: N802 - the contract's name
        self, request: pb.EnrollRequest, context: grpc.ServicerContext
    ) -> pb.EnrollReply:
        """PERMISSION_DENIED for a token that is unknown, over or another's, INVALID_ARGUMENT for a bad request."""
        hostname = clean(request.hostname, 255)
        try:
            with self._app.app_context(), transaction():
                joined = enrollments.enroll(request.token, request.csr_pem, hostname, self._authority, utcnow())
        except Forbidden as error:
            refusal, sentence = grpc.StatusCode.PERMISSION_DENIED, error.message
        except Invalid as error:
            refusal, sentence = grpc.StatusCode.INVALID_ARGUMENT, error.message
        except Exception:  # the boundary of a request
            log.exception("an agent could not join")
            refusal, sentence = grpc.StatusCode.UNAVAILABLE, "The panel has a problem of its own. Try again."
        else:
            log.info("agent %s joined from %s (%s)", joined.agent_name, context.peer(), hostname)
            return self._reply(joined)
        log.warning("refused to let %s (%s) join: %s", context.peer(), hostname, sentence)
        context.abort(refusal, sentence)
        raise AssertionError("abort() does not return")

    def _reply(self, joined: enrollments.Enrollment) -> pb.EnrollReply:
        return pb.EnrollReply(
            agent_id=joined.agent_id,
            agent_name=joined.agent_name,
            certificate_pem=joined.certificate_pem,
            ca_pem=self._authority.pem,
            stream_port=self._app.config["WAYPOST"].stream_port,
        )
