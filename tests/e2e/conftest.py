"""A running product, an upstream and a browser for the end-to-end tests.
May import: tests.product, tests.person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.person import Person, running_browser
from tests.product import ROOT, Product, running_product, running_upstream

UPSTREAM = "hello from the upstream"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is end to end, and takes longer than a unit test may."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(240))


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Where screenshots of the last run are kept."""
    return ROOT / "var" / "e2e"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One per module: while it lives, Playwright's event loop is the running one."""
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def upstream() -> Iterator[int]:
    with running_upstream(UPSTREAM) as port:
        yield port


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A product of this test alone, nobody has set it up yet."""
    with running_product(tmp_path / "var") as product:
        yield product


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Person]]:
    """Opens browsers for people; at the end no page of theirs may have broken the policy or logged an error."""
    people: list[Person] = []

    def open_browser(product: Product, **options: object) -> Person:
        people.append(Person(browser, product.url, **options))  # type: ignore[arg-type]
        return people[-1]

    yield open_browser
    complaints = [complaint for person in people for complaint in person.complaints]
    for person in people:
        person.context.close()
    assert not complaints, "\n".join(complaints)
