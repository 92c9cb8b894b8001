"""A panel's side of the wire: real TLS, real gRPC, and an agent process of its own; what it says is up to the test.
May import: grpc, protos, agent.identity, tests.agent.conftest."""

from __future__ import annotations

import datetime as dt
import hashlib
import http.server
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from agent.config import AgentConfig
from agent.identity import PANEL_NAME, Identity
from agent.keys import csr_for, new_key
from agent.nginx.bundle import Bundle
from protos import command_stream_pb2 as pb
from protos import command_stream_pb2_grpc as pb_grpc

ROOT = Path(__file__).parents[2]
SLIM = Path(__file__).with_name("slim")


class Authority:
    """A certificate authority for one test."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test panel")])
        builder = self._builder(self._name, self._key.public_key(), 365)
        self.certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(
            self._key, hashes.SHA256()
        )
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, csr_pem: bytes, names: list[x509.GeneralName], days: float = 30, age: float = 0) -> bytes:
        request = x509.load_pem_x509_csr(csr_pem)
        builder = self._builder(request.subject, request.public_key(), days, age)
        extended = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return extended.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(self, subject: x509.Name, key: object, days: float, age: float = 0) -> x509.CertificateBuilder:
        start = dt.datetime.now(dt.UTC) - dt.timedelta(days=age, minutes=1)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)  # type: ignore[arg-type]
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(days=days))
        )


class Stream:
    """One connection of the agent, seen from the panel."""

    def __init__(self) -> None:
        self.received: queue.Queue[pb.AgentMessage | None] = queue.Queue()
        self.outgoing: queue.Queue[pb.PanelMessage | None] = queue.Queue()
        self.seen: list[pb.AgentMessage] = []
        self.context: grpc.ServicerContext | None = None

    def expect(self, kind: str, seconds: float = 15.0) -> pb.AgentMessage:
        """The next message of a kind; others before it are kept in `seen`."""
        deadline = time.monotonic() + seconds
        while True:
            message = self.received.get(timeout=max(0.01, deadline - time.monotonic()))
            assert message is not None, f"the stream ended before a {kind} came"
            self.seen.append(message)
            if message.WhichOneof("body") == kind:
                return message

    def result(self, seconds: float = 20.0) -> pb.CommandResult:
        return self.expect("command_result", seconds).command_result

    def lines(self) -> list[pb.OutputLine]:
        """All output lines received so far."""
        return [line for m in self.seen if m.WhichOneof("body") == "command_output" for line in m.command_output.lines]

    def send(self, **body: object) -> None:
        self.outgoing.put(pb.PanelMessage(**body))  # type: ignore[arg-type]

    def confirm(self, result: pb.CommandResult) -> None:
        seq = result.last_output_seq
        self.send(result_stored=pb.ResultStored(command_id=result.command_id, output_seq=seq, final_stored=True))

    def cut(self) -> None:
        """The connection breaks."""
        assert self.context is not None
        self.context.cancel()
        self.outgoing.put(None)


class FarSide(pb_grpc.CommandStreamServicer, pb_grpc.EnrollmentServicer):
    """The servers of a panel, scripted by a test."""

    def __init__(self, heartbeat: float = 15.0) -> None:
        self.authority = Authority()
        self.streams: queue.Queue[Stream] = queue.Queue()
        self.heartbeat = heartbeat
        self.answers_heartbeats = True
        self.renewals: list[bytes] = []
        self.enrolled_keys: list[bytes] = []
        self.lose_enrollment_replies = 0
        self._server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.so_reuseport", 0)])
        pb_grpc.add_CommandStreamServicer_to_server(self, self._server)
        pb_grpc.add_EnrollmentServicer_to_server(self, self._server)
        key_pem = new_key()
        certificate = self.authority.sign(csr_for(key_pem), [x509.DNSName(PANEL_NAME)])
        pair = (key_pem.encode(), certificate)
        mutual = grpc.ssl_server_credentials([pair], self.authority.pem, require_client_auth=True)
        self.port = self._server.add_secure_port("127.0.0.1:0", mutual)
        self.enroll_port = self._server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        self._server.start()

    def stop(self) -> None:
        self._server.stop(0).wait(5)

    def identity(self, days: float = 30, age: float = 0) -> Identity:
        key_pem = new_key()
        certificate = self._sign(csr_for(key_pem), days, age)
        ca_pem = self.authority.pem.decode()
        return Identity("agent-1", "test", "127.0.0.1", self.port, ca_pem, key_pem, certificate.decode())

    def next_stream(self, seconds: float = 20.0, *, welcome: bool = True) -> Stream:
        """The next connection, after its Hello."""
        stream = self.streams.get(timeout=seconds)
        stream.expect("hello")
        if welcome:
            stream.send(welcome=self.welcome())
        return stream

    def welcome(self, **more: object) -> pb.Welcome:
        message = pb.Welcome(protocol=1, session_epoch=1, **more)  # type: ignore[arg-type]
        message.heartbeat_interval.FromMilliseconds(int(self.heartbeat * 1000))
        return message

    def Connect(  # noqa: N802 - the contract's name
        self, request_iterator: Iterator[pb.AgentMessage], context: grpc.ServicerContext
    ) -> Iterator[pb.PanelMessage]:
        context.send_initial_metadata(())
        stream = Stream()
        stream.context = context
        context.add_callback(lambda: stream.outgoing.put(None))
        threading.Thread(target=self._read, args=(stream, request_iterator), daemon=True).start()
        self.streams.put(stream)
        yield from iter(stream.outgoing.get, None)

    def RenewCertificate(  # noqa: N802 - the contract's name
        self, request: pb.RenewCertificateRequest, _context: grpc.ServicerContext
    ) -> pb.RenewCertificateReply:
        self.renewals.append(request.csr_pem)
        return pb.RenewCertificateReply(certificate_pem=self._sign(request.csr_pem), ca_pem=self.authority.pem)

    def Enroll(  # noqa: N802 - the contract's name
        self, request: pb.EnrollRequest, context: grpc.ServicerContext
    ) -> pb.EnrollReply:
        if request.token != "secret-secret-secret":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "This token is over.")
        key = x509.load_pem_x509_csr(request.csr_pem).public_key()
        der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        self.enrolled_keys.append(der)
        if self.lose_enrollment_replies > 0:
            self.lose_enrollment_replies -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "lost")
        certificate = self._sign(request.csr_pem)
        return pb.EnrollReply(agent_id="agent-1", agent_name="test", certificate_pem=certificate, stream_port=self.port)

    def _sign(self, csr_pem: bytes, days: float = 30, age: float = 0) -> bytes:
        return self.authority.sign(csr_pem, [x509.UniformResourceIdentifier("urn:waypost:agent:1")], days, age)

    def _read(self, stream: Stream, requests: Iterator[pb.AgentMessage]) -> None:
        try:
            for message in requests:
                if message.WhichOneof("body") == "heartbeat" and self.answers_heartbeats:
                    stream.send(heartbeat_ack=pb.HeartbeatAck(sequence=message.heartbeat.sequence))
                stream.received.put(message)
        except grpc.RpcError:
            pass
        stream.received.put(None)


class WellKnown:
    """The one web page that an agent reads before it joins."""

    def __init__(self, far_side: FarSide) -> None:
        document = {"ca_pem": far_side.authority.pem.decode(), "enroll_port": far_side.enroll_port}

        class Page(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = json.dumps(document).encode()
                self.send_response(200 if self.path == "/.well-known/waypost" else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.token = f"wp1.secret-secret-secret.{far_side.authority.certificate.fingerprint(hashes.SHA256()).hex()}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class AgentProcess:
    """`python -m agent run`, as a supervisor runs it: no gevent, real threads."""

    def __init__(self, config: AgentConfig, **environ: str) -> None:
        self._environ = {
            **os.environ,
            "AGENT_STATE_DIR": str(config.state_dir),
            "AGENT_HTTP_PORT": str(config.http_port),
            "AGENT_HTTPS_PORT": str(config.https_port),
            "AGENT_STATUS_PORT": str(config.status_port),
            "LETSENCRYPT_DIR": str(config.letsencrypt_dir),
            "PYTHONPATH": str(SLIM),
            **environ,
        }
        self._log = config.state_dir.parent / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, **environ: str) -> AgentProcess:
        """With more variables for this run."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "agent", "run"],
                cwd=ROOT,
                env={**self._environ, **environ},
                stdout=log,
                stderr=log,
            )
        return self

    def wait_dead(self, seconds: float = 30.0) -> int:
        """Until it ended by itself; its exit status."""
        process, self._process = self._process, None
        assert process is not None
        return process.wait(seconds)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> float:
        """Seconds that a clean stop took; its exit status must be 0."""
        started = time.monotonic()
        assert self._end(signal.SIGTERM) in {0, None}
        return time.monotonic() - started

    def _end(self, number: int) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        process.send_signal(number)
        return process.wait(10)


def command(command_id: str, seq: int = 1, *, seconds: float = 3600, **action: object) -> pb.Command:
    """A command with a time to live."""
    message = pb.Command(command_id=command_id, seq=seq, **action)  # type: ignore[arg-type]
    message.time_to_live.FromMilliseconds(int(seconds * 1000))
    message.run_timeout.FromSeconds(60)
    return message


def wire_bundle(bundle: Bundle, contents: dict[str, bytes] | None = None) -> pb.ConfigBundle:
    """A bundle as the panel sends it, with these contents."""
    return pb.ConfigBundle(
        revision=bundle.revision,
        files=[pb.ConfigFile(path=f.path, sha256=f.sha256, size=f.size) for f in bundle.files],
        contents=[pb.Content(sha256=key, data=data, last=True) for key, data in (contents or {}).items()],
    )


def sha256(text: str) -> str:
    """As a manifest names a text."""
    return hashlib.sha256(text.encode()).hexdigest()
