"""Joining: a one-time token becomes a key, a certificate and the address of the stream.
May import: grpc, protos, agent.identity, agent.errors."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import grpc

from agent.errors import Refused, Unreachable
from agent.identity import PANEL_NAME, Identity, joining_request, read_der, save
from protos import command_stream_pb2 as pb
from protos import command_stream_pb2_grpc as pb_grpc

_ANSWER_BYTES = 64 * 1024
_SECONDS = 10
_TOKEN = re.compile(r"wp1\.([A-Za-z0-9_-]{16,128})\.([0-9a-f]{64})")
_FINAL = {grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNAUTHENTICATED}


@dataclass(frozen=True)
class _Panel:
    """What a panel says of itself to agents that have not joined."""

    host: str
    enroll_port: int
    ca_pem: str


def token_sha256(token: str) -> str:
    """What is remembered of a used token: enough to see whether a new one was given."""
    return hashlib.sha256(token.encode()).hexdigest()


def join(panel_url: str, token: str, folder: Path) -> Identity:
    """Exchanges the token for an identity and stores it. Safe to repeat: the key of an unfinished join is kept.
    Raises Refused when the panel says no or is not the panel of the token, Unreachable when it does not answer."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise Refused("The join token is not complete. Copy the whole command from the panel's page “Add agent”.")
    panel = _discover(panel_url)
    if _fingerprint(panel.ca_pem) != match[2]:
        raise Refused(
            f"{panel_url} is not the panel that this token is from. Check the address, or make a new token there."
        )
    request = joining_request(folder)
    reply = _enroll(panel, match[1], request.csr_pem)
    identity = Identity(
        agent_id=reply.agent_id,
        agent_name=reply.agent_name,
        host=panel.host,
        stream_port=reply.stream_port,
        ca_pem=panel.ca_pem,
        key_pem=request.key_pem,
        certificate_pem=reply.certificate_pem.decode(),
        token_sha256=token_sha256(token),
    )
    save(folder, identity)
    return identity


def _discover(panel_url: str) -> _Panel:
    """Asks the panel's web address. Nothing of the answer is trusted before the CA's fingerprint was compared."""
    address = f"{panel_url}/.well-known/waypost"
    try:
        # Redirects are followed by urllib; the fingerprint decides whether the answer counts.
        with urllib.request.urlopen(address, timeout=_SECONDS) as answer:  # noqa: S310 - the config allows http(s) only
            stored = json.loads(answer.read(_ANSWER_BYTES))
        host = urllib.parse.urlsplit(panel_url).hostname or ""
        return _Panel(host, int(stored["enroll_port"]), str(stored["ca_pem"]))
    except urllib.error.HTTPError as error:
        raise Unreachable(f"{panel_url} answered {error.code}. Is this the address of the panel?") from None
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise Unreachable(f"{panel_url} cannot be reached ({reason}).") from None
    except (ValueError, KeyError, TypeError):
        raise Unreachable(f"{panel_url} did not answer like a panel. Is this its address?") from None


def _fingerprint(ca_pem: str) -> str:
    try:
        return hashlib.sha256(read_der(ca_pem)).hexdigest()
    except ValueError:
        return ""


def _enroll(panel: _Panel, secret: str, csr_pem: bytes) -> pb.EnrollReply:
    host = f"[{panel.host}]" if ":" in panel.host else panel.host
    credentials = grpc.ssl_channel_credentials(root_certificates=panel.ca_pem.encode())
    options = [("grpc.ssl_target_name_override", PANEL_NAME), ("grpc.enable_http_proxy", 0)]
    request = pb.EnrollRequest(token=secret, csr_pem=csr_pem, hostname=socket.gethostname())
    with grpc.secure_channel(f"{host}:{panel.enroll_port}", credentials, options=options) as channel:
        try:
            return pb_grpc.EnrollmentStub(channel).Enroll(request, timeout=_SECONDS)
        except grpc.RpcError as error:
            code, details = _status(error)
            if code in _FINAL:
                raise Refused(f"The panel refused: {details}") from None
            raise Unreachable(f"The panel's port {panel.enroll_port} cannot be used ({details}).") from None


def _status(error: object) -> tuple[grpc.StatusCode | None, str]:
    """Calls are raised as errors, which its types do not say."""
    return (error.code(), error.details() or "") if isinstance(error, grpc.Call) else (None, "")
