"""Measures Waypost in containers: image sizes, memory, from `up` to the setup link, from a new nginx to its networks.
May import: psutil, agent.docker, tests.docker."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil

from agent.docker.engine import Engine
from agent.docker.facts import Container
from tests.docker.conftest import IMAGES, Yard
from tests.docker.engine import BASE, NGINX, docker, make_base_image, make_nginx_image, running_engine
from tests.docker.stack import VERSION, Stack, make_images
from tests.docker.visitor import NAME, PASSWORD
from tests.product import wait_until

ROUNDS = 5
AIM_SECONDS = 2.0


def main() -> None:
    """Prints one line per measure. The floor of times is a container of this Engine that only sleeps."""
    with running_engine(IMAGES) as host, tempfile.TemporaryDirectory(prefix="wp-bench-") as name:
        make_base_image(host)
        make_nginx_image(host)
        make_images(host)
        report_sizes(host)
        yard = Yard(host, f"wp{uuid.uuid4().hex[:8]}")
        stack = Stack(host, f"{yard.prefix}s", Path(name) / "stack")
        try:
            measure(stack, yard)
        finally:
            stack.down("-v")
            yard.clear()


def measure(stack: Stack, yard: Yard) -> None:
    """From an empty project on."""
    floor = statistics.median(_seconds(partial(yard.container, f"empty-{number}")) for number in range(ROUNDS))
    began = time.monotonic()
    stack.up()
    link = stack.setup_link()
    seconds = time.monotonic() - began
    print(f"from up to the setup link: {seconds:.1f} s, {seconds / floor:.0f} times an empty container ({floor:.2f} s)")
    report_memory(stack, "after start")
    set_up(stack, link, yard.network("back"))
    report_memory(stack, "with a person and a network")
    back = [put_back(stack, yard.name("back")) for _ in range(ROUNDS)]
    worst, median = max(back), statistics.median(back)
    print(
        f"from nginx re-created to its network back: median {median * 1000:.0f} ms, worst {worst * 1000:.0f} ms "
        f"(aim: at most {AIM_SECONDS:g} s), {median / floor:.1f} times an empty container"
    )


def set_up(stack: Stack, link: str, network: str) -> None:
    """An administrator attaches nginx to a network."""
    visitor = stack.visitor()
    visitor.open(link.removeprefix(stack.url)).submit("/setup", username=NAME, password=PASSWORD, repeat=PASSWORD)
    visitor.until("/networks", network)
    wait_until(lambda: network in visitor.open("/networks").row(network).get_text(), "the network is listed")
    form = next(form for form in visitor.page.find_all("form") if network in str(form))
    visitor.send(form)
    wait_until(lambda: _is_joined(stack, network), "nginx is in the network")
    visitor.close()


def put_back(stack: Stack, network: str) -> float:
    """Seconds from the Engine's word that the new nginx runs to its word that it is in the network."""
    engine = Engine(stack.host)
    stream = engine.events()
    started = 0
    try:
        stack.compose("up", "-d", "--no-build", "--force-recreate", "--no-deps", "nginx")
        for event in stream:
            attributes = event["Actor"]["Attributes"]
            if event["Type"] == "container" and event["Action"] == "start" and attributes["name"] == stack.nginx:
                started = event["timeNano"]
            if (
                started
                and event["Type"] == "network"
                and event["Action"] == "connect"
                and attributes["name"] == network
            ):
                return float(event["timeNano"] - started) / 1e9
    finally:
        stream.close()
    raise AssertionError("the Engine ended")


def report_sizes(host: str) -> None:
    """What an image adds to its base, which several images share."""
    base = _size(host, BASE)
    for name in ("panel", "agent"):
        size = _size(host, f"waypost/{name}:{VERSION}")
        print(f"image {name}: {size:.0f} MB, {size / base:.1f} times its base ({base:.0f} MB)")
    print(f"image nginx, for comparison: {_size(host, NGINX):.0f} MB")


def report_memory(stack: Stack, when: str) -> None:
    """Resident memory of all processes of each container, in MiB; in brackets the shares (PSS)."""
    engine = Engine(stack.host)
    sizes = {name: _measure(engine, stack, name) for name in ("panel", "agent", "nginx")}
    words = ", ".join(f"{name} {rss:.0f} MiB ({pss:.0f})" for name, (rss, pss) in sizes.items())
    whole = sum(rss for rss, _ in sizes.values())
    floor = psutil.Process(os.getpid()).memory_info().rss / (1 << 20)
    print(f"memory {when}: {words}; all {whole:.0f} MiB, {whole / floor:.1f} times this measuring Python")


def _measure(engine: Engine, stack: Stack, service: str) -> tuple[float, float]:
    container = engine.find_container(stack.container(service))
    assert isinstance(container, Container)
    found = [psutil.Process(one.pid).memory_full_info() for one in engine.processes(container)]
    return sum(one.rss for one in found) / (1 << 20), sum(one.pss for one in found) / (1 << 20)


def _is_joined(stack: Stack, network: str) -> bool:
    container = Engine(stack.host).find_container(stack.nginx)
    return container is not None and container.endpoint(network) is not None


def _size(host: str, image: str) -> float:
    return int(docker(host, "image", "inspect", "--format", "{{.Size}}", image).stdout) / 1e6


def _seconds(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


if __name__ == "__main__":
    main()
