"""One click makes HTTPS, a renewal changes no configuration, a deletion gives plain HTTP back: all parts are real."""

from __future__ import annotations

import socket
import ssl

from flask import Flask

from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Command, CommandKind
from panel.services import agents, certificates, commands, proxy_hosts
from panel.services.proxy_hosts import ProxyHostSpec
from tests.product import Product

PATIENCE = 60.0  # seconds
STAGES = ["check", "order", "challenge", "validation", "issued", "cleanup", "installed", "reload", "served"]


def ended(command_id: str) -> Command:
    command = commands.wait(command_id, PATIENCE)
    assert command.has_succeeded, (command.kind, command.state, command.error)
    return command


def pem_served(product: Product, name: str) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = ("127.0.0.1", int(product.ports["AGENT_HTTPS_PORT"]))
    with socket.create_connection(address, timeout=5) as plain, context.wrap_socket(plain, server_hostname=name) as tls:
        return ssl.DER_cert_to_PEM_cert(tls.getpeercert(binary_form=True) or b"")


def test_from_a_click_to_https_and_back(product: Product) -> None:
    product.wait_for_line("test authority at")
    product.wait_online()
    # A door of its own to the same database: what the pages do, without the pages.
    app: Flask = create_app(Config.from_env({"PANEL_STATE_DIR": str(product.state / "panel")}))
    with app.app_context():
        agent = agents.list_all()[0]
        with transaction():
            spec = ProxyHostSpec(agent.id, ("app.example.com",), "http", "127.0.0.1", 9)
            host = proxy_hosts.create(spec, None)
            order = certificates.request_for_host(host, None).id
        assert ended(order).result["served"] is True
        lines = commands.outputs(order)
        assert [line.stage for line in lines if line.level == "stage"] == STAGES
        first = pem_served(product, "app.example.com")
        db.session.rollback()
        assert host.has_tls
        certificate = host.certificate
        assert certificate is not None
        with transaction():
            renewal = certificates.renew(certificate, None).id
        ended(renewal)
        assert pem_served(product, "app.example.com") != first
        applies = commands.list_page(kind=CommandKind.APPLY_CONFIG).total
        with transaction():
            deletion = certificates.delete(certificate, None, unlink=True)
            assert deletion is not None
            gone = deletion.id
        ended(gone)
        assert commands.list_page(kind=CommandKind.APPLY_CONFIG).total == applies + 1
        assert certificates.list_page().total == 0
        assert not (product.state / "letsencrypt" / "live" / "app.example.com").exists()
        db.session.remove()
        db.engine.dispose()
