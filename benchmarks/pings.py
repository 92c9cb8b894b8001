"""The far end of benchmarks.roundtrip: unary pings with an agent's certificate, one duration in seconds per line.
May import: grpc. Run by benchmarks.roundtrip: python -m benchmarks.pings <identity folder> <port> <at once>"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

ROUNDS, WARM_UP = 200, 50
PING = "/benchmark.Ping/Ping"
PANEL_NAME = "panel.waypost.internal"


def main(folder: Path, port: int, at_once: int) -> None:
    """Pings on one channel, as an agent has one."""
    stored = json.loads((folder / "identity.json").read_text())
    credentials = grpc.ssl_channel_credentials(
        stored["ca_pem"].encode(), stored["key_pem"].encode(), stored["certificate_pem"].encode()
    )
    # The panel allows eight calls on one connection, which is plenty for an agent.
    options = [("grpc.ssl_target_name_override", PANEL_NAME), ("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) for _ in range(-(-at_once // 8))]
    pings: list[grpc.UnaryUnaryMultiCallable[bytes, bytes]] = [one.unary_unary(PING) for one in channels]

    def trip(number: int) -> float:
        began = time.perf_counter()
        pings[number % len(pings)](b"x" * 64, timeout=30, wait_for_ready=True)
        return time.perf_counter() - began

    for number in range(WARM_UP):
        trip(number)
    with ThreadPoolExecutor(at_once) as pool:
        print("\n".join(map(str, pool.map(trip, range(ROUNDS if at_once == 1 else 2 * ROUNDS)))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
