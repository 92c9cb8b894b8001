"""`make run`: starts the test authority, panel, nginx and agent, keeps them running and stops them in order.
May import: the standard library, psutil, panel.config and the modules of panel.embedded."""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import resource
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from panel.config import Config
from panel.embedded.child import Child, StartError
from panel.embedded.run import Refusal, Run, lock, read_run, require_ports
from panel.embedded.terminal import Terminal
from panel.embedded.test_authority import DIRECTORY_PATH, LOOPBACK, SWITCH, TestAuthority, is_wanted

ROOT = Path(__file__).resolve().parents[2]
ENOUGH_FILES = 65_536
SLOW, TOO_LONG = 5.0, 60.0  # seconds until a wait is mentioned, and until it is given up


class Supervisor:
    """The children of one run, in the order in which they start."""

    def __init__(self, run: Run, terminal: Terminal) -> None:
        self._run = run
        self._terminal = terminal
        python = sys.executable
        self._panel = self._child("panel", [python, "wsgi.py"])
        self._agent = self._child("agent", [python, "-m", "agent", "run"])
        configuration = run.agent_state / "nginx" / "current" / "nginx.conf"
        nginx = run.environment["AGENT_NGINX_BINARY"]
        self._nginx = self._child("nginx", [nginx, "-e", "stderr", "-c", str(configuration), "-g", "daemon off;"])
        # QUIT lets requests finish; a websocket would keep it waiting, so TERM comes after it.
        self._nginx.stop_signals = ((signal.SIGQUIT, 3.0), (signal.SIGTERM, 2.0))
        self._pebble = self._authority_children(run.authority) if run.authority else []

    async def main(self) -> int:
        """Starts everything, waits for a signal, stops everything. The exit code."""
        asked = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, asked)
        starting = asyncio.create_task(self._start())
        waiting = asyncio.create_task(asked.wait())
        await asyncio.wait([starting, waiting], return_when=asyncio.FIRST_COMPLETED)
        try:
            if not starting.done():
                starting.cancel()
                await asyncio.wait([starting])
                return 0
            await starting
            await waiting
        except StartError as error:
            self._terminal.say(str(error))
            return 1
        else:
            return 0
        finally:
            await self._stop()

    def _on_signal(self, asked: asyncio.Event) -> None:
        if asked.is_set():  # the second Ctrl-C: no more patience
            for child in (self._agent, self._nginx, self._panel, *self._pebble):
                child.kill()
        asked.set()

    def _child(self, name: str, command: list[str]) -> Child:
        log_file = self._run.state / "log" / f"{name.replace(' ', '-')}.log"
        return Child(name, command, self._run.environment, log_file, self._terminal)

    def _authority_children(self, authority: TestAuthority) -> list[Child]:
        children = [
            self._child("pebble", authority.pebble_command()),
            self._child("names", authority.name_server_command()),
        ]
        for child in children:
            child.environment = authority.environment()
        return children

    async def _start(self) -> None:
        if self._run.authority is not None:
            await self._start_authority(self._run.authority)
        if self._run.config is None:
            await self._join()
        else:
            await self._start_panel(self._run.config)
        await self._once("agent prepare", "-m", "agent", "prepare")
        await self._nginx.start()
        await self._wait_for(self._nginx, "nginx", lambda: _answers(self._run.status_port, "127.0.0.1", "/revision"))
        await self._agent.start()
        if self._run.authority is not None:
            await self._wait_for_authority(self._run.authority)
        self._announce()

    async def _start_panel(self, config: Config) -> None:
        self._terminal.say("Bringing the database up to date.")
        await self._once("database upgrade", "-m", "flask", "--app", "wsgi", "db", "upgrade")
        self._terminal.say("Starting the panel, nginx and the agent.")
        await self._panel.start()
        host = self._run.panel_url.removeprefix("http://").rpartition(":")[0].strip("[]")
        await self._wait_for(self._panel, "The panel", lambda: _answers(config.port, host, "/healthz"))

    async def _start_authority(self, authority: TestAuthority) -> None:
        """Only begins: it gets ready while the panel does."""
        try:
            authority.write_files(self._run.http_port, self._run.https_port)
        except OSError as error:
            raise StartError(f"The test authority's files could not be written: {error}") from error
        for child in self._pebble:
            await child.start()

    async def _wait_for_authority(self, authority: TestAuthority) -> None:
        trust = ssl.create_default_context(cafile=authority.ca_file)
        answers = functools.partial(_answers, authority.port, LOOPBACK, DIRECTORY_PATH, trust)
        try:
            await self._wait_for(self._pebble[0], "The test authority", answers)
        except StartError as error:  # hosts are served without it, and it is started again and again
            self._terminal.warn("pebble", str(error))

    async def _join(self) -> None:
        if not self._run.environment.get("AGENT_JOIN_TOKEN"):
            return  # joined before: the agent says so itself when it did not
        self._terminal.say(f"Joining {self._run.panel_url}.")
        await self._once("agent join", "-m", "agent", "join")

    async def _once(self, name: str, *arguments: str) -> None:
        await self._child(name, [sys.executable, *arguments]).run_once()

    async def _wait_for(self, child: Child, name: str, ready: Callable[[], Awaitable[bool]]) -> None:
        """Returns when `ready`. Raises StartError when the child keeps failing, or after a minute."""
        clock = asyncio.get_running_loop().time
        begin, told = clock(), False
        while not await ready():
            if clock() - begin > TOO_LONG or (child.has_ended and clock() - begin > SLOW):
                raise StartError(f"{name} does not answer. Its log says why: {child.log_file}")
            if clock() - begin > SLOW and not told:
                self._terminal.say(f"{name} needs longer than usual; still waiting.")
                told = True
            await asyncio.sleep(0.05)

    def _announce(self) -> None:
        run, say = self._run, self._terminal.say
        self._terminal.title("Waypost is running.")
        say(f"  Panel         {run.panel_url}")
        say(f"  nginx         http://127.0.0.1:{run.http_port} (serves your hosts)")
        say(f"                https://127.0.0.1:{run.https_port} (those with a certificate)")
        if run.config is not None:
            say(f"  Certificates  {self._describe_authority()}")
        setup_link = run.config.state_dir / "setup-link" if run.config else None
        if setup_link and setup_link.exists():
            say(f"  First visit   {setup_link.read_text().strip()}")
            say("                This link works once and makes the administrator.")
        say(f"  State, logs   {run.state}, {run.state / 'log'}")
        say("Ctrl-C stops everything.")

    def _describe_authority(self) -> str:
        if self._run.authority is not None:
            return f"test authority at {self._run.authority.directory_url}: browsers do not trust what it gives"
        if not is_wanted(self._run.environment):
            return f"no test authority ({SWITCH}=off)"
        return "no test authority, because Pebble is not installed (apt-get install pebble, where the system has it)"

    async def _stop(self) -> None:
        for child in (self._agent, self._nginx, self._panel, *self._pebble):
            if not child.has_ended:
                self._terminal.say(f"Stopping {child.name}.")
            await child.stop()
        self._terminal.say("Stopped.")


async def _answers(port: int, host: str, path: str, trust: ssl.SSLContext | None = None) -> bool:
    """Whether an HTTP server there, or HTTPS with `trust`, answers this path with 200."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, port, ssl=trust)
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            status = await reader.readline()
            writer.close()
            return b" 200 " in status
    except (OSError, TimeoutError):
        return False


def main(arguments: list[str]) -> int:
    """Parses the arguments and runs; the exit code: 0 stopped on request, 1 failed, 2 refused before anything ran."""
    parser = argparse.ArgumentParser(prog="supervisor", description="Runs panel, agent and nginx together.")
    parser.add_argument("--state", type=Path, default=Path("var"), help="the folder of all state")
    parser.add_argument("--agent-only", action="store_true", help="run an agent and its nginx, and no panel")
    options = parser.parse_args(arguments)
    terminal = Terminal()
    try:
        run = read_run(options.state.absolute(), options.agent_only)
        held = lock(run.state)
        require_ports(run)
    except Refusal as refusal:
        terminal.say(str(refusal))
        return 2
    os.chdir(ROOT)
    allow_connections()
    with held:
        return asyncio.run(Supervisor(run, terminal).main())


def allow_connections() -> None:
    """Lets the children open as many files as the machine allows: each connection of nginx and each agent is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH_FILES if hard == resource.RLIM_INFINITY else min(hard, ENOUGH_FILES)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
