"""The one process: web server, the two gRPC servers and the clock, started and stopped in order.
May import: everything in panel."""

from __future__ import annotations

import dataclasses
import logging
import signal
import sys
import time

import gevent
from flask import Flask
from gevent import monkey
from gevent.event import Event
from gevent.pool import Pool
from gevent.pywsgi import WSGIServer
from sqlalchemy import text

from panel import clock, failpoints, news, pki
from panel.config import Config
from panel.extensions import db, stopping, transaction, vitals
from panel.models.types import utcnow
from panel.pki import Authority, PkiError, ServerIdentity
from panel.rpc import watch
from panel.rpc.command_stream import CommandStreamServicer
from panel.rpc.server import GrpcServer, PortTaken, build_enroll_server, build_stream_server
from panel.services import agents, builtin_authorities, sessions, setup_links
from panel.web.connection import PanelHandler

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 2000  # browsers hold one open per tab
STREAM_GRACE = 3.0  # seconds for calls under way when the process stops
STOP_TIMEOUT = 4.0  # seconds until what still runs is left behind
ROTATE_EVERY = 3600.0  # seconds between looks at the server certificate's age


class StartRefused(Exception):
    """The panel cannot start; the sentence says why and what to do."""


class Panel:
    """Everything that listens, for one application. Ports are bound by the constructor, served after start()."""

    def __init__(self, app: Flask) -> None:
        require_bootstrap()
        config: Config = app.config["WAYPOST"]
        self._app = app
        self._authority = pki.open_authority(config.pki_dir, utcnow())
        identity = self._identity()
        self._stream, self._servicer = _build_stream(app, config, self._authority, identity)
        self._enroll = _build_enroll(app, config, self._authority, identity)
        self._web = _build_web(app, config)
        app.config["WAYPOST"] = dataclasses.replace(
            config, port=self._web.server_port or 0, stream_port=self._stream.port, enroll_port=self._enroll.port
        )
        self._tasks: list[gevent.Greenlet[..., None]] = []

    @property
    def config(self) -> Config:
        """The configuration with the ports that were really bound."""
        config: Config = self._app.config["WAYPOST"]
        return config

    def start(self) -> None:
        """Settles what the last process left, then listens."""
        stopping.clear()
        self._prepare()
        self._stream.server.start()
        self._enroll.server.start()
        vitals.is_stream_listening = True
        self._web.start()
        self._tasks = [
            gevent.spawn(news.listen, self._app),
            gevent.spawn(clock.run, self._app),
            gevent.spawn(clock.watch_hub),
            gevent.spawn(watch.run, self._app, self._servicer.streams),
            gevent.spawn(self._rotate),
        ]
        config = self.config
        log.info("listening for people on http://%s:%d", config.host, config.port)
        ports = (config.stream_host, config.stream_port, config.enroll_port)
        log.info("listening for agents on %s, ports %d (stream) and %d (join)", *ports)

    def stop(self) -> None:
        """Ends within five seconds, whatever agents and browsers do: says goodbye, waits a little, leaves."""
        stopping.set()
        vitals.is_stream_listening = False
        ended = [self._stream.server.stop(STREAM_GRACE), self._enroll.server.stop(STREAM_GRACE)]
        self._servicer.say_goodbye()
        self._web.stop(timeout=1.0)
        deadline = time.monotonic() + STOP_TIMEOUT
        for event in ended:
            if not event.wait(max(0.0, deadline - time.monotonic())):
                log.warning("some streams did not end in time")
        gevent.killall(self._tasks, timeout=1.0)
        _checkpoint(self._app)
        log.info("stopped")

    def _prepare(self) -> None:
        with self._app.app_context(), transaction():
            vitals.awaited_agents = sessions.reset()
            vitals.started_at = utcnow()
            link = setup_links.ensure(self.config)
            agents.ensure_bundled(self.config)
            builtin_authorities.ensure(self.config)
        if link is not None:
            log.info("no administrator yet: open %s", link)

    def _identity(self) -> ServerIdentity:
        config: Config = self._app.config["WAYPOST"]
        return pki.open_server_identity(config.pki_dir, self._authority, utcnow())

    def _rotate(self) -> None:
        """Shows a renewed server certificate without ending a stream. A full disk is no reason to stop looking: without
        a new one no agent could connect in the end."""
        while not stopping.wait(ROTATE_EVERY):
            try:
                identity = self._identity()
            except OSError as error:
                log.error("the server certificate could not be renewed, trying again: %s", error)  # noqa: TRY400
                continue
            self._stream.credentials.rotate(identity)
            self._enroll.credentials.rotate(identity)


def run(app: Flask) -> int:
    """Serves until SIGTERM or SIGINT; the exit code. 2 when the panel cannot start, with a sentence why."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        failpoints.arm(app.config["WAYPOST"].failpoint)
        panel = Panel(app)
    except (StartRefused, PkiError, failpoints.NoSuchFailpoint) as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence, not a trace
        return 2
    asked = Event()
    handlers = [gevent.signal_handler(number, asked.set) for number in (signal.SIGTERM, signal.SIGINT)]
    panel.start()
    asked.wait()
    log.info("stopping")
    panel.stop()
    for handler in handlers:
        handler.cancel()
    return 0


def require_bootstrap() -> None:
    """Raises StartRefused when panel.bootstrap was not the first import: gRPC would freeze the process."""
    if not monkey.is_module_patched("threading"):
        raise StartRefused("panel.bootstrap must be the first import of the program.")


def _build_stream(
    app: Flask, config: Config, authority: Authority, identity: ServerIdentity
) -> tuple[GrpcServer, CommandStreamServicer]:
    try:
        return build_stream_server(app, (config.stream_host, config.stream_port), authority, identity)
    except PortTaken as error:
        raise StartRefused(_port_sentence(error.port, "PANEL_STREAM_PORT")) from error


def _build_enroll(app: Flask, config: Config, authority: Authority, identity: ServerIdentity) -> GrpcServer:
    try:
        return build_enroll_server(app, (config.stream_host, config.enroll_port), authority, identity)
    except PortTaken as error:
        raise StartRefused(_port_sentence(error.port, "PANEL_ENROLL_PORT")) from error


def _build_web(app: Flask, config: Config) -> WSGIServer:
    server = WSGIServer(
        (config.host, config.port),
        app,
        backlog=1024,
        spawn=Pool(MAX_CONNECTIONS),
        handler_class=PanelHandler,
        log=None,
        error_log=logging.getLogger("panel.web"),
    )
    try:
        server.init_socket()
    except OSError as error:
        raise StartRefused(_port_sentence(config.port, "PANEL_PORT")) from error
    return server


def _port_sentence(port: int, variable: str) -> str:
    return f"Port {port} is in use by another program. Stop that program, or set {variable} to a free port."


def _checkpoint(app: Flask) -> None:
    """Leaves SQLite as one file, so that a copy of it is a backup."""
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            db.session.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
        db.session.remove()
        db.engine.dispose()
