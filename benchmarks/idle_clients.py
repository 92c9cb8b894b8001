"""The far end of benchmarks.idle_agents: many agents of one process that are connected, say that they live, and wait.
May import: grpc, protos. Run by benchmarks.idle_agents: … <identities> <port> <from> <to>"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from protos import command_stream_pb2 as pb
from protos import command_stream_pb2_grpc

PANEL_NAME = "panel.waypost.internal"
AT_ONCE = 20  # handshakes
OPTIONS = (
    ("grpc.ssl_target_name_override", PANEL_NAME),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
FACTS = pb.NginxFacts(version="1.28.0", http_port=80, https_port=443, running=True, applied_revision="idle")
CHECKED = pb.CheckNginxResult(nginx=FACTS, workers=1)


async def main(identities: dict[str, Any], port: int) -> None:
    """Connects every agent, says so, and keeps them connected until standard input ends."""
    door = asyncio.Semaphore(AT_ONCE)
    ready = [asyncio.Event() for _ in identities["agents"]]
    agents = [
        asyncio.create_task(_live(identities, agent, port, door, welcomed))
        for agent, welcomed in zip(identities["agents"], ready, strict=True)
    ]
    await asyncio.gather(*(welcomed.wait() for welcomed in ready))
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for agent in agents:
        agent.cancel()


async def _live(
    identities: dict[str, Any], agent: dict[str, str], port: int, door: asyncio.Semaphore, welcomed: asyncio.Event
) -> None:
    """One agent: a connection of its own, Hello, heartbeats, and an answer to each question."""
    keys = [identities["ca_pem"], identities["key_pem"], agent["certificate_pem"]]
    credentials = grpc.ssl_channel_credentials(*(text.encode() for text in keys))
    async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, OPTIONS) as channel:
        async with door:
            call: Any = command_stream_pb2_grpc.CommandStreamStub(channel).Connect()
            hello = pb.Hello(protocol=1, agent_version="0.1.0", boot_id=agent["id"], hostname="idle", nginx=FACTS)
            await call.write(pb.AgentMessage(hello=hello))
            message = await call.read()
        welcomed.set()
        beats = asyncio.create_task(_beat(call, message.welcome.heartbeat_interval.ToTimedelta().total_seconds()))
        try:
            while (message := await call.read()) is not grpc.aio.EOF:
                if message.HasField("command"):
                    await _answer(call, message.command)
        finally:
            beats.cancel()
    print(f"agent {agent['id']} lost its stream: {message}", file=sys.stderr)


async def _beat(call: Any, interval: float) -> None:
    sequence = 0
    while True:
        await asyncio.sleep(interval)
        sequence += 1
        await call.write(pb.AgentMessage(heartbeat=pb.Heartbeat(sequence=sequence)))


async def _answer(call: Any, command: pb.Command) -> None:
    result = pb.CommandResult(command_id=command.command_id, outcome=pb.CommandResult.SUCCEEDED, check_nginx=CHECKED)
    await call.write(pb.AgentMessage(command_result=result))


if __name__ == "__main__":
    stored = json.loads(Path(sys.argv[1]).read_text())
    chosen = stored["agents"][int(sys.argv[3]) : int(sys.argv[4])]
    asyncio.run(main({**stored, "agents": chosen}, int(sys.argv[2])))
