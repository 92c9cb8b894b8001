"""How the agent dials: TLS with the panel's own CA, and the settings that notice a dead peer.
May import: grpc, agent.identity."""

from __future__ import annotations

import grpc

from agent.identity import PANEL_NAME, Identity

MAX_MESSAGE = 1 << 20

OPTIONS: list[tuple[str, int | str]] = [
    ("grpc.ssl_target_name_override", PANEL_NAME),
    # More than the server's shortest allowed interval, else it answers "too many pings".
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The keepalive time-out alone is ignored by gRPC: without this a dead panel is noticed after a minute.
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE),
    ("grpc.max_send_message_length", MAX_MESSAGE),
    # A proxy from the environment would see the panel's name and nothing else, but it would be in the way.
    ("grpc.enable_http_proxy", 0),
]


def open_channel(identity: Identity) -> grpc.Channel:
    """A channel of its own for every attempt: nothing of a broken connection is kept."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=identity.ca_pem.encode(),
        private_key=identity.key_pem.encode(),
        certificate_chain=identity.certificate_pem.encode(),
    )
    return grpc.secure_channel(identity.target, credentials, options=OPTIONS)
