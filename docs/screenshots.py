"""Makes the README's pictures from a running Waypost with a few hosts: light, dark and on a phone.
May import: tests.product, tests.person. Run: make screenshots"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from playwright.sync_api import Browser

from tests.person import Person, running_browser
from tests.product import ROOT, Product, running_product

IMAGES = ROOT / "docs" / "images"
SITES = {
    "app.acme.example": ("10.0.4.12", 3000),
    "shop.acme.example": ("10.0.4.20", 8080),
    "wiki.acme.example": ("10.0.4.25", 8080),
    "git.acme.example": ("10.0.4.31", 3000),
}
SAVED_ONLY = "status.acme.example"
PICTURES = {
    "desktop-light": ("hosts", "job", "refused", "edit", "agents", "certificates", "request", "issued"),
    "desktop-dark": ("host", "certificate"),
    "phone-light": ("edit", "issued"),
    "phone-dark": ("hosts", "certificates"),
}


def main() -> None:
    """Overwrites docs/images."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # nginx's workers must reach their part of the state
        with running_product(Path(folder) / "var") as product, running_browser() as browser:
            jobs = seed(product, browser)
            for shape, names in PICTURES.items():
                photograph_all(Person(browser, product.url, shape=shape), shape, names, jobs)


def seed(product: Product, browser: Browser) -> dict[str, str]:
    """Some live hosts, two of them with HTTPS, one that nginx refuses and one that is only saved.

    Returns the addresses of the jobs of an apply and of a request.
    """
    person = Person(browser, product.url)
    person.set_up(product.setup_link)
    product.wait_online()
    for site, (host, port) in SITES.items():
        person.create_host(site, port, host)
        person.sees("Succeeded")
    jobs = {"job": person.page.url}
    refuse(product, person)
    for number in (1, 3):
        jobs["issued"] = request_certificate(person, number)
    person.page.goto("/hosts/new")
    person.fill_host(SAVED_ONLY, 9000, "10.0.4.40")
    person.button("Save only").click()
    person.page.wait_for_url(re.compile(r"/hosts(/\d+)?$"))
    person.context.close()
    return jobs


def request_certificate(person: Person, number: int) -> str:
    """One click on a host; the address of its job, when it is over."""
    person.page.goto(f"/hosts/{number}")
    person.button("Request SSL").click()
    person.page.wait_for_url("**/jobs/*")
    person.sees("Succeeded", 60)
    return person.page.url


def refuse(product: Product, person: Person) -> None:
    """Gives the shop a name that this nginx cannot take, while the panel believes that it is nginx 1.27.3."""
    ((version,),) = product.query("SELECT nginx_version FROM agent")
    pretend(product, "1.27.3")
    person.page.goto("/hosts/2/edit")
    person.page.fill("[name=forward_host]", "shop-backend")
    person.save_and_apply()
    person.sees("It went on in")
    pretend(product, version)


def pretend(product: Product, version: str) -> None:
    """What the panel believes of the agent's nginx, until the next heartbeat."""
    with closing(sqlite3.connect(product.state / "panel" / "panel.sqlite3")) as connection, connection:
        connection.execute("UPDATE agent SET nginx_version = ?", (version,))


def photograph_all(person: Person, shape: str, names: tuple[str, ...], jobs: dict[str, str]) -> None:
    """The pages that the README and the documentation show, in one shape."""
    addresses = {
        "hosts": "/hosts",
        "host": "/hosts/1",
        "edit": "/hosts/1/edit",
        "refused": "/hosts/2",
        "agents": "/agents",
        "certificates": "/certificates",
        "certificate": "/certificates/1",
        "request": "/certificates/new?host=4",
        **jobs,
    }
    person.log_in()
    for name in names:
        person.page.goto(addresses[name])
        person.photograph(IMAGES, f"{name}-{shape}")
    person.context.close()


if __name__ == "__main__":
    main()
