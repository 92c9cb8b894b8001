"""Makes the README's pictures from a running Waypost with a few hosts: light, dark and on a phone.
May import: tests.product, tests.person. Run: make screenshots"""

from __future__ import annotations

import re
import sqlite3
import tempfile
from pathlib import Path

from playwright.sync_api import Browser

from tests.person import Person, running_browser
from tests.product import ROOT, Product, running_product, running_upstream

IMAGES = ROOT / "docs" / "images"
SITES = ("app.acme.example", "shop.acme.example", "wiki.acme.example", "git.acme.example")
SAVED_ONLY = "status.acme.example"


def main() -> None:
    """Overwrites docs/images."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_upstream("hello") as upstream,
        running_product(Path(folder) / "var") as product,
        running_browser() as browser,
    ):
        job = seed(product, browser, upstream)
        for shape in ("desktop-light", "desktop-dark", "phone-light", "phone-dark"):
            photograph_all(Person(browser, product.url, shape=shape), shape, job)


def seed(product: Product, browser: Browser, upstream: int) -> str:
    """An administrator, some live hosts and one that is only saved. Returns the address of the last apply's job."""
    person = Person(browser, product.url)
    person.set_up(product.setup_link)
    product.wait_online()
    for site in SITES:
        person.create_host(site, upstream)
        person.sees("Succeeded")
    job = person.page.url
    person.page.goto("/hosts/new")
    person.fill_host(SAVED_ONLY, upstream)
    person.button("Save only").click()
    person.page.wait_for_url(re.compile(r"/hosts(/\d+)?$"))
    person.context.close()
    refuse(product)
    return job


def refuse(product: Product) -> None:
    """Marks one host as refused by nginx. The form lets nothing through that nginx refuses, so a row is written."""
    words = 'host not found in upstream "10.0.0.300"'
    with sqlite3.connect(product.state / "panel" / "panel.sqlite3") as connection:
        connection.execute(
            "UPDATE proxy_host SET refused_generation = changed_generation, refused_text = ?, refused_line = 21,"
            " refused_field = 'forward_host' WHERE id = 2",
            [words],
        )
    connection.close()


def photograph_all(person: Person, shape: str, job: str) -> None:
    """The pages that the README and the documentation show, in one shape."""
    person.log_in()
    pages = {"hosts": "/hosts", "host": "/hosts/1", "edit": "/hosts/1/edit", "refused": "/hosts/2", "agents": "/agents"}
    for name, address in {**pages, "job": job}.items():
        person.page.goto(address)
        person.photograph(IMAGES, f"{name}-{shape}")
    person.context.close()


if __name__ == "__main__":
    main()
