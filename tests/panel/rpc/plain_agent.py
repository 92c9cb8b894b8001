"""An agent as a process of its own, with threads instead of gevent: connects, says Hello, then only listens.

Usage: plain_agent.py <stream port> <folder with key.pem, cert.pem, ca.pem>. Prints "welcome" when it is in.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc

from protos import command_stream_pb2 as pb
from protos import command_stream_pb2_grpc


def requests() -> Iterator[pb.AgentMessage]:
    yield pb.AgentMessage(hello=pb.Hello(protocol=1, boot_id="process"))
    threading.Event().wait()


def main(port: str, folder: Path) -> None:
    pems = [(folder / name).read_bytes() for name in ("ca.pem", "key.pem", "cert.pem")]
    credentials = grpc.ssl_channel_credentials(*pems)
    options = (("grpc.ssl_target_name_override", "panel.waypost.internal"),)
    channel = grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)
    for message in command_stream_pb2_grpc.CommandStreamStub(channel).Connect(requests()):
        sys.stdout.write(f"{message.WhichOneof('body')}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
