"""An agent on the real wire, played by a plain gRPC client: says what a test tells it, keeps what it hears."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import gevent
import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from gevent.event import Event
from gevent.queue import Queue

from panel import pki
from panel.config import Config
from protos import command_stream_pb2 as pb
from protos import command_stream_pb2_grpc

PATIENCE = 10.0  # seconds until a test gives up

OPTIONS = (("grpc.ssl_target_name_override", pki.SERVER_NAME), ("grpc.use_local_subchannel_pool", 1))


class Identity:
    """A key made by the agent, and the certificate it got for it."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.certificate_pem = b""
        self.ca_pem = b""

    @property
    def key_pem(self) -> bytes:
        encoding, layout = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(encoding, layout, serialization.NoEncryption())

    @property
    def csr_pem(self) -> bytes:
        return make_csr(self.key)


def make_csr(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "whoever I say I am")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return csr.public_bytes(serialization.Encoding.PEM)


def enroll(config: Config, token: str, identity: Identity) -> pb.EnrollReply:
    """Joins with the token as people copy it."""
    ca_pem = pki.read_ca_pem(config.pki_dir)
    credentials = grpc.ssl_channel_credentials(root_certificates=ca_pem)
    with grpc.secure_channel(f"127.0.0.1:{config.enroll_port}", credentials, OPTIONS) as channel:
        stub = command_stream_pb2_grpc.EnrollmentStub(channel)
        request = pb.EnrollRequest(token=token.split(".")[1], csr_pem=identity.csr_pem, hostname="test-machine")
        reply = stub.Enroll(request, timeout=PATIENCE)
    identity.certificate_pem, identity.ca_pem = reply.certificate_pem, reply.ca_pem
    return reply


def facts(revision: str = "") -> pb.NginxFacts:
    return pb.NginxFacts(version="1.22.1", http_port=7880, https_port=7443, running=True, applied_revision=revision)


def hello(revision: str = "", open_commands: tuple[pb.OpenCommand, ...] = (), **values: Any) -> pb.Hello:
    values = {"protocol": 1, "agent_version": "0.1.0", "boot_id": "boot", "hostname": "test-machine", **values}
    return pb.Hello(nginx=facts(revision), open_commands=open_commands, **values)


class Wire:
    """One stream. Use it as a context manager."""

    def __init__(self, config: Config, identity: Identity | None) -> None:
        credentials = grpc.ssl_channel_credentials(pki.read_ca_pem(config.pki_dir))
        if identity is not None:
            pair = (identity.key_pem, identity.certificate_pem)
            credentials = grpc.ssl_channel_credentials(pki.read_ca_pem(config.pki_dir), *pair)
        self._channel = grpc.secure_channel(f"127.0.0.1:{config.stream_port}", credentials, OPTIONS)
        self.stub = command_stream_pb2_grpc.CommandStreamStub(self._channel)
        self._outgoing: Queue[pb.AgentMessage | None] = Queue()
        self._heard: Queue[pb.PanelMessage] = Queue()
        self.ended = Event()
        self.error: grpc.RpcError | None = None

    def __enter__(self) -> Self:
        self._call = self.stub.Connect(iter(self._outgoing.get, None))
        gevent.spawn(self._listen, self._call)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._outgoing.put(None)
        self._call.cancel()
        self.ended.wait(PATIENCE)
        self._channel.close()

    def send(self, **body: Any) -> None:
        self._outgoing.put(pb.AgentMessage(**body))

    def expect(self, kind: str, *, timeout: float = PATIENCE) -> Any:
        """The next message of this kind; others before it are passed over."""
        with gevent.Timeout(timeout, AssertionError(f"no {kind} came; the stream ended with {self.error}")):
            while True:
                message = self._heard.get()
                if message.WhichOneof("body") == kind:
                    return getattr(message, kind)

    def quiet(self, kind: str, *, seconds: float = 0.3) -> bool:
        """Whether nothing of this kind comes for a while."""
        try:
            self.expect(kind, timeout=seconds)
        except AssertionError:
            return True
        return False

    def greet(self, **values: Any) -> pb.Welcome:
        self.send(hello=hello(**values))
        welcome: pb.Welcome = self.expect("welcome")
        return welcome

    def _listen(self, call: Iterator[pb.PanelMessage]) -> None:
        try:
            for message in call:
                self._heard.put(message)
        except grpc.RpcError as error:
            self.error = error
        finally:
            self.ended.set()


def until(condition: Callable[[], bool], *, timeout: float = PATIENCE, pause: float = 0.01) -> None:
    """Waits until something in the database is so; looks again after each pause."""
    with gevent.Timeout(timeout, AssertionError("it did not become true")):
        while not condition():
            gevent.sleep(pause)
