"""Why nginx in a container does not reach an upstream, found from inside its networks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from agent.docker.engine import Engine
from agent.docker.snapshot import Camera
from agent.errors import NginxUnavailable
from agent.nginx.wrapper import Machine
from agent.upstreams.check import Checker
from agent.upstreams.sight import look_at
from agent.upstreams.upstream import Cause, Finding, Upstream
from tests.docker.conftest import Yard
from tests.docker.engine import BASE, NGINX, docker
from tests.product import wait_until

CONTAINER = Machine("nginx", ("127.0.0.11",), ipv6=False, status_port=7803, http_port=80, is_container=True)
TLS = "events {} http { server { listen 443 ssl; ssl_reject_handshake on; } server { listen 80; } }"


class Place:
    """nginx in one network, a shop in another, and an agent that is in nginx's only."""

    def __init__(self, yard: Yard, docker_host: str, image: str = NGINX) -> None:
        self.yard = yard
        self.front, self.back = yard.network("front"), yard.network("back")
        self.nginx = yard.container("nginx", "sleep", "infinity", image=image, options=("--network", self.front))
        self.agent = yard.container("agent", options=("--network", self.front))
        engine = Engine(docker_host)
        self.camera = Camera(engine, self.nginx, self.agent)
        self.checker = Checker(lambda: CONTAINER, self.nginx, engine)

    def shop(self, network: str, *options: str) -> str:
        """A web server that is called "shop" too."""
        more = ("--network", network, "--network-alias", "shop", *options)
        return self.yard.container("shop", "nginx", "-g", "daemon off;", image=NGINX, options=more)

    def join(self) -> None:
        self.yard.docker("network", "connect", self.back, self.nginx)

    def join_until_reached(self, host: str) -> None:
        """The first connection after a join may meet an Engine whose name server and bridge are not at it yet."""
        self.join()
        wait_until(lambda: self.check(host).cause is None, f"{host} is reached")

    def check(self, host: str, port: int = 80, scheme: str = "http") -> Finding:
        return self.checker.check(Upstream(scheme, host, port), self.camera.look()).finding


@pytest.fixture
def place(yard: Yard, docker_host: str) -> Place:
    """Where a shop can be put."""
    return Place(yard, docker_host)


@pytest.fixture(scope="module")
def joined(docker_host: str) -> Iterator[Place]:
    """nginx and the shop in one network, for tests that change nothing."""
    yard = Yard(docker_host, f"wp{uuid.uuid4().hex[:8]}")
    try:
        made = Place(yard, docker_host)
        made.shop(made.back)
        made.join_until_reached("shop")
        yield made
    finally:
        yard.clear()


def test_a_container_in_another_network_and_what_joining_mends(place: Place) -> None:
    shop = place.shop(place.back)
    finding = place.check("shop")
    assert (finding.cause, finding.container, finding.network) == (Cause.NO_COMMON_NETWORK, shop, place.back)
    assert place.back in finding.next_step
    assert place.check(shop).cause is Cause.NO_COMMON_NETWORK
    place.join_until_reached("shop")
    assert place.check(shop).cause is None
    assert place.check(shop.upper()).cause is None, "Docker's names have no case"


def test_a_closed_port_names_the_container(joined: Place) -> None:
    finding = joined.check("shop", 81)
    assert finding.cause is Cause.REFUSED
    assert f"port 81 in the container {joined.yard.name('shop')}" in finding.sentence


def test_a_container_that_the_agent_reaches_itself_is_tried_by_the_agent(place: Place) -> None:
    """It runs on this machine here, so that its address leads there; the sight tells which address it would take."""
    place.shop(place.front)
    upstream = Upstream("http", "shop", 80)
    assert look_at(upstream, place.camera.look()).direct
    assert place.check("shop").cause is None
    assert place.check("shop", 81).cause is Cause.REFUSED


def test_a_stopped_container(place: Place) -> None:
    shop = place.shop(place.front)
    place.yard.docker("stop", "-t", "0", shop)
    finding = place.check(shop)
    assert finding.cause is Cause.STOPPED
    assert finding.next_step == f"Start it: docker start {shop}"


def test_an_unhealthy_container(place: Place, engine: Engine) -> None:
    stream = engine.events()
    shop = place.shop(place.front, "--health-cmd", "false", "--health-interval", "200ms", "--health-retries", "1")
    try:
        for event in stream:
            if str(event.get("Action", "")).startswith("health_status: unhealthy"):
                break
    finally:
        stream.close()
    assert place.check(shop).cause is Cause.UNHEALTHY


def test_a_name_that_nothing_has(joined: Place) -> None:
    assert joined.check("no-such-name.invalid").cause is Cause.UNRESOLVED


@pytest.mark.parametrize("host", ["--help", "<b>x</b>", "a b; id", "$(id)", "-e"])
def test_hostile_names_are_names_of_nothing(joined: Place, host: str) -> None:
    assert joined.check(host).cause in {Cause.UNRESOLVED, Cause.UNREACHABLE}


def test_a_container_in_the_nameless_network_is_not_found_by_joining_that(joined: Place) -> None:
    finding = joined.check(joined.yard.container("lone", image=BASE))
    assert (finding.cause, finding.network) == (Cause.NO_COMMON_NETWORK, "")
    assert "docker network create" in finding.next_step


def test_nginx_sees_only_itself_at_the_loopback_address(joined: Place) -> None:
    finding = joined.check("127.0.0.1", 81)
    assert finding.cause is Cause.REFUSED
    assert "sees only itself" in finding.sentence


def test_an_address_of_a_container_is_known_too(place: Place, engine: Engine) -> None:
    container = engine.find_container(place.shop(place.back))
    assert container is not None
    address = container.endpoints[0].address
    assert place.check(address).cause is Cause.NO_COMMON_NETWORK
    place.join_until_reached(address)


def test_tls_is_tried_without_a_word_of_http(place: Place) -> None:
    shop = place.shop(place.back)
    place.join_until_reached("shop")
    finding = place.check("shop", 80, "https")
    assert finding.cause is Cause.TLS
    assert "does not speak TLS" in finding.sentence
    place.yard.docker("exec", shop, "sh", "-c", f"echo '{TLS}' > /etc/nginx/nginx.conf; nginx -s reload")
    refused = place.check("shop", 443, "https")
    assert refused.cause is Cause.TLS
    assert "alert 112" in refused.sentence  # RFC 6066: unrecognized_name


def test_without_nginx_nobody_can_look_from_there(place: Place) -> None:
    place.yard.docker("stop", "-t", "0", place.nginx)
    with pytest.raises(NginxUnavailable, match=f"docker start {place.nginx}"):
        place.check("no-such-name.invalid")


@pytest.fixture
def curl_image(docker_host: str) -> str:
    """The image without perl, as that of Alpine is; curl is in all official ones."""
    text = (
        f"FROM {NGINX}\nRUN apt-get update && apt-get install -y --no-install-recommends curl"
        " && rm -rf /var/lib/apt/lists/* && rm /usr/bin/perl*\n"
    )
    docker(docker_host, "build", "--network", "host", "-t", "waypost-test/curl", "-", text=text)
    return "waypost-test/curl"


def test_an_image_without_perl_uses_curl(yard: Yard, docker_host: str, curl_image: str) -> None:
    place = Place(yard, docker_host, curl_image)
    place.shop(place.back)
    assert place.check("shop").cause is Cause.NO_COMMON_NETWORK
    place.join_until_reached("shop")
    assert place.check("shop", 81).cause is Cause.REFUSED
    assert place.check("no-such-name.invalid").cause is Cause.UNRESOLVED
    assert place.check("shop", 80, "https").cause is Cause.TLS


def test_an_image_with_neither_leaves_it_to_what_docker_tells(yard: Yard, docker_host: str) -> None:
    place = Place(yard, docker_host)
    yard.docker("exec", place.nginx, "sh", "-c", "rm -f /usr/bin/perl* /usr/bin/curl")
    place.shop(place.back)
    place.join()
    finding = place.check("shop", 81)
    assert finding.cause is None
    assert "no program that could try it" in finding.sentence
