"""The far end of benchmarks.roundtrip, with an agent's certificate: unary pings, or heartbeats through a real session.
May import: grpc, protos. Run by benchmarks.roundtrip, which reads one duration in seconds per line:
python -m benchmarks.pings ping|beat <identity folder> <port> <at once>"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from protos import PROTOCOL_VERSION, command_stream_pb2_grpc
from protos import command_stream_pb2 as pb

ROUNDS, WARM_UP = 200, 50
PING = "/benchmark.Ping/Ping"
PANEL_NAME = "panel.waypost.internal"
# The panel allows eight calls on one connection and refuses the ninth even while an ended one is being tidied away.
CALLS_EACH = 4

Trip = Callable[[int], float]


def main(verb: str, folder: Path, port: int, at_once: int) -> None:
    """Prints the durations."""
    prepare = {"ping": prepare_pings, "beat": prepare_beats}[verb]
    trip = prepare(lambda: open_channel(folder, port), at_once)
    for number in range(WARM_UP):
        trip(number)
    with ThreadPoolExecutor(at_once) as pool:
        print("\n".join(map(str, pool.map(trip, range(ROUNDS if at_once == 1 else 2 * ROUNDS)))), flush=True)


def open_channel(folder: Path, port: int) -> grpc.Channel:
    """A connection of its own, as the agent would make it."""
    stored = json.loads((folder / "identity.json").read_text())
    credentials = grpc.ssl_channel_credentials(
        stored["ca_pem"].encode(), stored["key_pem"].encode(), stored["certificate_pem"].encode()
    )
    options = [("grpc.ssl_target_name_override", PANEL_NAME), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)


def prepare_pings(connect: Callable[[], grpc.Channel], at_once: int) -> Trip:
    """One unary call of 64 bytes; each connection serves few threads."""
    channels: queue.SimpleQueue[grpc.Channel] = queue.SimpleQueue()
    for channel in [connect() for _ in range(-(-at_once // CALLS_EACH))]:
        for _ in range(CALLS_EACH):
            channels.put(channel)

    def trip(_number: int) -> float:
        channel = channels.get()
        ping: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(PING)
        began = time.perf_counter()
        ping(b"x" * 64, timeout=30, wait_for_ready=True)
        took = time.perf_counter() - began
        channels.put(channel)
        return took

    return trip


def prepare_beats(connect: Callable[[], grpc.Channel], _at_once: int) -> Trip:
    """One Heartbeat until its HeartbeatAck, through one session; the stream is held by threads as the agent's is."""
    outgoing: queue.Queue[pb.AgentMessage] = queue.Queue()
    acked: dict[int, threading.Event] = {}
    call = command_stream_pb2_grpc.CommandStreamStub(connect()).Connect(iter(outgoing.get, None))
    outgoing.put(pb.AgentMessage(hello=pb.Hello(protocol=PROTOCOL_VERSION, agent_version="benchmark", boot_id="1")))
    if not next(call).HasField("welcome"):
        raise RuntimeError("no Welcome")

    def read() -> None:
        for message in call:
            if message.HasField("heartbeat_ack"):
                acked[message.heartbeat_ack.sequence].set()

    threading.Thread(target=read, daemon=True).start()
    numbers = iter(range(1, 1 << 30))

    def trip(_number: int) -> float:
        sequence = next(numbers)
        arrived = acked[sequence] = threading.Event()
        began = time.perf_counter()
        outgoing.put(pb.AgentMessage(heartbeat=pb.Heartbeat(sequence=sequence)))
        if not arrived.wait(30):
            raise RuntimeError("the heartbeat was not answered")
        return time.perf_counter() - began

    return trip


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
