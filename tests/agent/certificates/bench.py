"""An agent's workshop in the test's own process, beside a real nginx and a real authority.
May import: agent, protos, tests.agent, tests.pebble."""

from __future__ import annotations

import socket
import ssl
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from agent.acme.certbot import write_renewal
from agent.acme.leaf import Material, read_leaf
from agent.acme.lineage import Lineages
from agent.acme.state import Memory
from agent.acme.store import Store
from agent.handlers.workshop import Wires, Workshop
from agent.journal import Journal, State
from agent.stream.outbox import write_started
from protos import command_stream_pb2 as pb
from tests.agent.conftest import Bench, make_bundle, wait_for
from tests.agent.far_side import wire_bundle
from tests.pebble import Pebble

ACME = "    location ^~ /.well-known/acme-challenge/ {\n        proxy_pass http://waypost_agent;\n    }\n"


@dataclass
class CertificateBench:
    """Sends commands as the panel does, and reads what comes back."""

    bench: Bench
    pebble: Pebble
    sent: list[pb.AgentMessage] = field(default_factory=list)
    hosts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bench.config = replace(self.bench.config, letsencrypt_dir=self.bench.config.state_dir / "letsencrypt")
        self._seq = 0
        self.workshop: Workshop | None = None

    @property
    def root(self) -> Path:
        return self.bench.config.letsencrypt_dir

    @property
    def lineages(self) -> Lineages:
        return Lineages(self.root)

    @property
    def store(self) -> Store:
        assert self.workshop is not None
        return self.workshop._store

    def memory(self, name: str) -> Memory:
        memory = self.store.get(name)
        assert memory is not None
        return memory

    def start(self) -> CertificateBench:
        """As the agent does it. The journal is that of the bench until the first stop."""
        wires = Wires(self._send, lambda result, _: self._answer(result), self._notify)
        self.workshop = Workshop(self.bench.config, self.bench.journal, wires, threading.Event())
        self.workshop.start()
        return self

    def stop(self) -> None:
        if self.workshop is not None:
            self.workshop.refuse_more()
            self.workshop.stop(10)
            self.workshop = None
            self.bench.journal = Journal(self.bench.config.journal_path)

    def _send(self, message: pb.AgentMessage) -> bool:
        self.sent.append(message)
        return True

    def _notify(self, command_id: str) -> None:
        """As the outbox does it, for what the agent begins itself."""
        entry = self.bench.journal.get(command_id)
        if entry is not None and (started := write_started(entry)) and entry.state is State.ACCEPTED:
            self.sent.append(pb.AgentMessage(command_started=started))

    def _answer(self, result: pb.CommandResult) -> None:
        self.sent.append(pb.AgentMessage(command_result=result))

    # ---- commands ------------------------------------------------------------------------------------------------

    def begin(self, *, seconds: float = 120, **action: Any) -> str:
        """Sends a command; its id."""
        assert self.workshop is not None
        self._seq += 1
        command = pb.Command(command_id=str(uuid.uuid4()), seq=self._seq, **action)
        command.run_timeout.FromMilliseconds(int(seconds * 1000))
        assert self.workshop.dispatcher.accept(command).verdict == pb.CommandAck.ACCEPTED
        self.workshop.dispatcher.begin(command)
        return command.command_id

    def result(self, command_id: str, seconds: float = 60.0) -> pb.CommandResult:
        """Waits for its end."""
        wait_for(lambda: self._is_finished(command_id), seconds)
        entry = self.bench.journal.get(command_id)
        assert entry is not None
        assert entry.result is not None
        return pb.CommandResult.FromString(entry.result)

    def _is_finished(self, command_id: str) -> bool:
        entry = self.bench.journal.get(command_id)
        return entry is not None and entry.state is State.FINISHED

    def run(self, **action: Any) -> pb.CommandResult:
        return self.result(self.begin(**action))

    def text(self, command_id: str) -> str:
        return self.bench.text(command_id)

    def stages(self, command_id: str) -> list[str]:
        return [stage for stage, level, _ in self.bench.lines(command_id) if level == "stage"]

    def spec(self, *names: str, name: str = "", **more: Any) -> pb.CertificateSpec:
        return pb.CertificateSpec(
            name=name or names[0].removeprefix("*."),
            names=names,
            authorities=[self.authority()],
            challenge=pb.CertificateSpec.HTTP_01,
            key_type="ec-256",
            **more,
        )

    def authority(self, **more: Any) -> pb.AcmeAuthority:
        return pb.AcmeAuthority(
            id="1",
            label="Pebble",
            directory_url=self.pebble.directory_url,
            ca_pem=self.pebble.ca_pem.encode(),
            is_test=True,
            dns_server=self.pebble.dns_server,
            **more,
        )

    def issue(self, *names: str, host_waits: bool = False, **more: Any) -> pb.CommandResult:
        spec = self.spec(*names, **more)
        return self.run(issue_certificate=pb.IssueCertificate(spec=spec, accept_warnings=True, host_waits=host_waits))

    # ---- nginx ---------------------------------------------------------------------------------------------------

    def apply(self) -> pb.CommandResult:
        """The hosts, by the nginx lane like every apply."""
        return self.run(apply_config=self.apply_action())

    def apply_action(self) -> pb.ApplyConfig:
        default = (
            f'server {{\n    listen {self.bench.config.http_port} default_server;\n    server_name "";\n{ACME}'
            "    location / {\n        return 404;\n    }\n}\n"
        )
        bundle, contents = make_bundle(self.bench.config, self.hosts, default=default)
        return pb.ApplyConfig(bundle=wire_bundle(bundle, contents))

    def add_host(self, host: str, lineage: str = "") -> None:
        """One that is served by https once it has a certificate."""
        config = self.bench.config
        tls = ""
        if lineage:
            live = self.root / "live" / lineage
            tls = (
                f"    listen {config.https_port} ssl;\n    ssl_certificate {live}/fullchain.pem;\n"
                f"    ssl_certificate_key {live}/privkey.pem;\n"
            )
        key = next((key for key in self.hosts if key.endswith(f"-{host}")), f"{len(self.hosts) + 1}-{host}")
        self.hosts[key] = (
            f"server {{\n    listen {config.http_port};\n{tls}    server_name {host};\n{ACME}"
            "    location / {\n        return 200 hello;\n    }\n}\n"
        )

    def served_leaf(self, host: str) -> str:
        """The certificate that a visitor gets, PEM; "" when there is none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            with (
                socket.create_connection(("127.0.0.1", self.bench.config.https_port), timeout=5) as plain,
                context.wrap_socket(plain, server_hostname=host) as secured,
            ):
                return ssl.DER_cert_to_PEM_cert(secured.getpeercert(binary_form=True) or b"")
        except OSError:
            return ""

    def serial(self, host: str) -> str:
        """That of the certificate that a visitor gets."""
        pem = self.served_leaf(host)
        return read_leaf(pem).serial if pem else ""

    def has_https(self, host: str, lineage: str = "") -> None:
        """Issues a certificate for a host and applies it."""
        result = self.issue(host)
        assert result.error == "", result
        self.add_host(host, lineage or host)
        applied = self.apply()
        assert applied.error == "", applied

    def until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        wait_for(condition, seconds)

    def reports(self) -> list[pb.CertificateReport]:
        return [m.report.certificates for m in self.sent if m.report.HasField("certificates")]

    def put_aged(self, name: str, material: Material, server: str) -> None:
        """A version that was issued long ago is in use."""
        self.lineages.switch(name, self.lineages.add(name, material))
        write_renewal(self.root, name, server, self.bench.layout.webroot)
