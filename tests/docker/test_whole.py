"""The compose file from an empty machine to hosts with HTTPS, and what happens to machines afterwards. The tests are
chapters of one story: each goes on where the one before it ended."""

from __future__ import annotations

import hashlib
import socket
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.docker.engine import Engine
from tests.docker.conftest import Yard
from tests.docker.engine import NGINX, restart_engine
from tests.docker.stack import SHOP, Stack, make_images
from tests.docker.visitor import NAME, PASSWORD, Visitor
from tests.product import Answer, fetch, wait_until

pytestmark = pytest.mark.timeout(300)

BACK_WITHIN = 10.0  # seconds; benchmarks/docker.py has the aim
PAGE = "Welcome to nginx"
DOUBT = "Needs your yes"


@pytest.fixture(scope="module")
def land(docker_host: str) -> Iterator[Yard]:
    """Where other people's containers are. It goes last, because an agent that lives would put nginx back into it."""
    yard = Yard(docker_host, f"wp{uuid.uuid4().hex[:8]}")
    try:
        yield yard
    finally:
        yard.clear()


@pytest.fixture(scope="module")
def stack(docker_host: str, land: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One that was started for the first time."""
    make_images(docker_host)
    folder: Path = tmp_path_factory.mktemp("stack")
    made = Stack(docker_host, f"{land.prefix}s", folder)
    try:
        yield made.up()
    finally:
        made.down("-v")


@pytest.fixture(scope="module")
def visitor(stack: Stack) -> Iterator[Visitor]:
    """The person who sets it up."""
    made = stack.visitor()
    yield made
    made.close()


def shop(land: Yard) -> str:
    """A web server that nobody has thought of when nginx was started."""
    options = ("--network", land.name("back"), "--expose", "80")
    return land.container("shop", "nginx", "-g", "daemon off;", image=NGINX, options=options)


def is_joined(stack: Stack, network: str) -> bool:
    container = Engine(stack.host).find_container(stack.nginx)
    return container is not None and container.is_running and container.endpoint(network) is not None


def answer(stack: Stack) -> Answer | None:
    """What a visitor of the shop gets; None while nothing listens."""
    try:
        return fetch(stack.http_port, SHOP)
    except OSError:
        return None


def is_served(stack: Stack) -> bool:
    got = answer(stack)
    return got is not None and PAGE in got.body


def served_certificate(stack: Stack) -> str:
    """The fingerprint of what a visitor gets; "" when there is no TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection(("127.0.0.1", stack.https_port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname=SHOP) as secured,
        ):
            return hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()
    except OSError:
        return ""


def test_nginx_answers_on_both_ports_before_anybody_has_set_it_up(stack: Stack) -> None:
    got = wait_until(lambda: answer(stack), "nginx answers")
    assert got.status == 404
    with socket.create_connection(("127.0.0.1", stack.https_port), timeout=5) as plain:
        context = ssl.create_default_context()
        with pytest.raises(ssl.SSLError, match="unrecognized name"):
            context.wrap_socket(plain, server_hostname=SHOP)


def test_the_link_in_the_log_leads_to_a_panel_whose_agent_is_there(stack: Stack, visitor: Visitor) -> None:
    visitor.open(stack.setup_link().removeprefix(stack.url))
    visitor.submit("/setup", username=NAME, password=PASSWORD, repeat=PASSWORD)
    visitor.until("/agents", "local", "Online")
    visitor.until("/networks", stack.network)


def test_a_container_in_another_network_becomes_a_host(stack: Stack, land: Yard, visitor: Visitor) -> None:
    back = land.network("back")
    name = shop(land)
    wait_until(lambda: "Running" in visitor.open("/containers").row(name).get_text(), "the container is listed")
    links = [str(link["href"]) for link in visitor.row(name).find_all("a")]
    visitor.open(next(link for link in links if link.startswith("/hosts/new")))
    assert back in visitor.text, "what is done about the network was not said"
    visitor.submit("/hosts/new", "then=apply", domain_names=SHOP)
    wait_until(lambda: is_served(stack), "the host is served")
    visitor.until("/hosts/1", "Serving", "Reachable")
    assert is_joined(stack, back)


def test_a_certificate_is_shared_with_nginx(stack: Stack, visitor: Visitor) -> None:
    """A machine without a name server of the world gets a warning about CAA records, and a person who goes on."""
    visitor.open("/hosts/1").submit("/request-ssl")
    job = visitor.at
    wait_until(lambda: any(word in visitor.open(job).text for word in ("Succeeded", DOUBT)), "the job has ended", 90)
    if DOUBT in visitor.text:
        visitor.send(next(form for form in visitor.page.find_all("form") if "Request anyway" in form.get_text()))
    visitor.until(visitor.at, "Succeeded", seconds=90)
    assert "Served over HTTPS" in visitor.text
    assert served_certificate(stack)
    assert fetch(stack.http_port, SHOP).status == 301


def test_a_container_made_again_is_put_back(stack: Stack, land: Yard) -> None:
    before = stack.container("nginx")
    certificate = served_certificate(stack)
    stack.compose("up", "-d", "--no-build", "--force-recreate", "--no-deps", "nginx")
    assert stack.container("nginx") != before
    wait_until(lambda: is_joined(stack, land.name("back")), "nginx is in the network again", BACK_WITHIN)
    wait_until(lambda: served_certificate(stack) == certificate, "HTTPS is served again")


def test_a_container_that_stops_or_has_another_name_is_explained(stack: Stack, land: Yard, visitor: Visitor) -> None:
    name = land.name("shop")
    land.docker("stop", "-t", "1", name)
    visitor.until("/hosts/1", "Container stopped", f"docker start {name}")
    land.docker("start", name)
    visitor.until("/hosts/1", "Reachable")
    land.docker("rename", name, f"{name}-2")
    visitor.until("/hosts/1", "Name not found")
    land.docker("rename", f"{name}-2", name)
    visitor.until("/hosts/1", "Reachable")


def test_what_happened_while_the_agent_was_away_is_put_right(stack: Stack, land: Yard) -> None:
    stack.compose("stop", "-t", "5", "agent")
    land.docker("network", "disconnect", land.name("back"), stack.nginx)
    assert not is_joined(stack, land.name("back"))
    stack.compose("start", "agent")
    wait_until(lambda: is_joined(stack, land.name("back")), "nginx is in the network again")


def test_a_network_that_is_removed_while_it_is_wanted_is_joined_when_it_returns(
    stack: Stack, land: Yard, visitor: Visitor
) -> None:
    back, name = land.name("back"), land.name("shop")
    stack.compose("stop", "-t", "5", "nginx")
    land.docker("rm", "-f", name)
    land.docker("network", "rm", back)
    wait_until(lambda: not has_endpoint(stack, back), "nginx was taken out of a network that is gone")
    stack.compose("start", "nginx")
    visitor.until("/networks", back)
    land.network("back")
    shop(land)
    wait_until(lambda: is_joined(stack, back), "nginx is in the network again", BACK_WITHIN)
    visitor.until("/hosts/1", "Reachable")


def has_endpoint(stack: Stack, network: str) -> bool:
    container = Engine(stack.host).find_container(stack.nginx)
    return container is not None and container.endpoint(network) is not None


def test_a_restart_of_the_engine_is_survived(stack: Stack, land: Yard, visitor: Visitor) -> None:
    """The shop was not started to be restarted, so that a person does it."""
    if not restart_engine(stack.host):
        pytest.skip("DOCKER_HOST names an Engine that others may use")
    land.docker("start", land.name("shop"))
    wait_until(lambda: is_joined(stack, land.name("back")), "nginx is in the network again", 60)
    visitor.until("/hosts/1", "Reachable", seconds=90)
    assert served_certificate(stack)


def test_down_and_up_keep_everything(stack: Stack, land: Yard, visitor: Visitor) -> None:
    certificate = served_certificate(stack)
    stack.down()
    assert served_certificate(stack) == ""
    stack.up()
    wait_until(lambda: served_certificate(stack) == certificate, "the same certificate is served")
    wait_until(lambda: is_joined(stack, land.name("back")), "nginx is in the network again")
    visitor.until("/agents", "local", "Online")
    visitor.until("/hosts/1", "Serving", "Reachable")


def test_nginx_starts_from_disk_without_agent_and_panel(stack: Stack, land: Yard) -> None:
    certificate = served_certificate(stack)
    stack.down()
    stack.compose("up", "-d", "--no-build", "nginx")
    wait_until(lambda: served_certificate(stack) == certificate, "the same certificate is served")
    assert not stack.container("agent")
    stack.up()
    wait_until(lambda: is_joined(stack, land.name("back")), "nginx is in the network again")


def test_without_the_socket_the_agent_says_so_and_hosts_go_on(stack: Stack, visitor: Visitor, tmp_path: Path) -> None:
    """Only the agent is made again, as by an upgrade: nginx stays as it is."""
    certificate, nginx = served_certificate(stack), stack.container("nginx")
    stack.socket = str(tmp_path / "nobody.sock")
    stack.up()
    assert stack.container("nginx") == nginx
    visitor.until("/networks", "The Docker Engine at unix:///var/run/docker.sock")
    assert served_certificate(stack) == certificate
    stack.socket = stack.host.removeprefix("unix://")
    stack.up()
    visitor.until("/networks", stack.network, "Attached")
