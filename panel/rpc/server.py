"""Builds the two gRPC servers: CommandStream behind mutual TLS, Enrollment behind the panel's own certificate.
May import: grpc, protos, panel.rpc, panel.pki, panel.config."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import grpc
from flask import Flask

from panel.pki import Authority, ServerIdentity
from panel.rpc.command_stream import CommandStreamServicer
from panel.rpc.enrollment import EnrollmentServicer
from protos import command_stream_pb2_grpc

MAX_STREAMS = 10_000  # greenlets are made when needed, so that a high limit costs nothing

STREAM_OPTIONS = (
    # Otherwise a second process takes the same port without an error, and half of the agents with it.
    ("grpc.so_reuseport", 0),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The one that counts: without it a dead peer is noticed after 60 s, whatever the line above says.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 3),
    ("grpc.max_receive_message_length", 1 << 20),
    ("grpc.max_concurrent_streams", 8),
    ("grpc.max_metadata_size", 16_384),
)
ENROLL_OPTIONS = (
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 65_536),
    ("grpc.max_concurrent_streams", 4),
    ("grpc.max_metadata_size", 16_384),
)


class PortTaken(Exception):
    """Another program listens there. `port` is what was asked for."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is in use")
        self.port = port


class RotatingCredentials:
    """TLS credentials whose server certificate may change under running streams; new handshakes see the new one."""

    def __init__(self, identity: ServerIdentity, client_ca: bytes | None) -> None:
        self._client_ca = client_ca
        self._next: list[grpc.ServerCertificateConfiguration | None] = [None]
        fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._fetch)  # its stub forgets None
        self.credentials = grpc.dynamic_ssl_server_credentials(
            self._configure(identity), fetch, require_client_authentication=client_ca is not None
        )

    def rotate(self, identity: ServerIdentity) -> None:
        """Shows `identity` from the next handshake on."""
        self._next[0] = self._configure(identity)

    def _configure(self, identity: ServerIdentity) -> grpc.ServerCertificateConfiguration:
        pair = (identity.key_pem, identity.certificate_pem)
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=self._client_ca)

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        """Runs in a native thread at each handshake: no locks, no log, no gevent. None keeps what there is."""
        configuration, self._next[0] = self._next[0], None
        return configuration


@dataclass(frozen=True)
class GrpcServer:
    """A built server that does not listen to anybody before start(), and the port it has bound."""

    server: grpc.Server
    port: int
    credentials: RotatingCredentials


def build_stream_server(
    app: Flask, address: tuple[str, int], authority: Authority, identity: ServerIdentity
) -> tuple[GrpcServer, CommandStreamServicer]:
    """The CommandStream server on (host, port), port 0 for any. Raises PortTaken."""
    pool = ThreadPoolExecutor(MAX_STREAMS, thread_name_prefix="stream")
    # Beyond the limit an agent gets RESOURCE_EXHAUSTED; without the second number it would wait in silence.
    server = grpc.server(pool, options=STREAM_OPTIONS, maximum_concurrent_rpcs=MAX_STREAMS)
    servicer = CommandStreamServicer(app, authority)
    command_stream_pb2_grpc.add_CommandStreamServicer_to_server(servicer, server)
    credentials = RotatingCredentials(identity, client_ca=authority.pem)
    return GrpcServer(server, _bind(server, address, credentials), credentials), servicer


def build_enroll_server(
    app: Flask, address: tuple[str, int], authority: Authority, identity: ServerIdentity
) -> GrpcServer:
    """The Enrollment server on (host, port), port 0 for any. Small, because anybody can call it. Raises PortTaken."""
    pool = ThreadPoolExecutor(16, thread_name_prefix="enroll")
    server = grpc.server(pool, options=ENROLL_OPTIONS, maximum_concurrent_rpcs=16)
    command_stream_pb2_grpc.add_EnrollmentServicer_to_server(EnrollmentServicer(app, authority), server)
    credentials = RotatingCredentials(identity, client_ca=None)
    return GrpcServer(server, _bind(server, address, credentials), credentials)


def _bind(server: grpc.Server, address: tuple[str, int], credentials: RotatingCredentials) -> int:
    host, port = address
    name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        return server.add_secure_port(name, credentials.credentials)
    except RuntimeError as error:
        raise PortTaken(port) from error
