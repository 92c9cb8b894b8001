"""A running product, an upstream and a browser for the end-to-end tests.
May import: benchmarks.operator, panel, tests.{hosts,person,product}."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from sqlalchemy import select

from benchmarks.operator import Operator
from panel.app import create_app
from panel.config import Config
from panel.extensions import db
from panel.models import Agent
from tests.hosts import add_host
from tests.person import Person, running_browser
from tests.product import ROOT, Product, running_product, running_upstream

FIFTY = 50
UPSTREAM = "hello from the upstream"
PICTURES = ROOT / "var" / "e2e"  # of pages on which a test failed
FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is end to end, and takes longer than a unit test may."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(240))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers of a test that it failed, for the fixtures that are taken down after it."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One per module: while it lives, Playwright's event loop is the running one."""
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="session")
def upstream() -> Iterator[int]:
    with running_upstream(UPSTREAM) as port:
        yield port


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One product for all tests that leave it whole: ada runs it, the agent of this machine is online. Others have
    hosts, jobs and people in it, too."""
    with running_product(tmp_path_factory.mktemp("shared") / "var") as product:
        with Operator(product) as ada:
            ada.set_up(product.setup_link)
        product.wait_online()
        yield product


@pytest.fixture(scope="session")
def fifty(shared: Product, upstream: int) -> None:
    """So many hosts of the shared product, site-00 to site-49, that are saved and not live."""
    app = create_app(Config.from_env({"PANEL_STATE_DIR": str(shared.state / "panel")}))
    with app.app_context():
        agent = db.session.scalars(select(Agent)).one()
    for number in range(FIFTY):
        add_host(app, agent, f"site-{number:02}.example.test", host="127.0.0.1", port=upstream)


def switched_off(product: Product) -> int:
    """How many of the fifty."""
    wanted = "SELECT count(*) FROM proxy_host WHERE NOT is_enabled AND domain_names LIKE '%site-%'"
    return int(product.query(wanted)[0][0])


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """A product of this test alone, nobody has set it up yet; without a certificate authority."""
    with running_product(tmp_path / "var", WAYPOST_TEST_AUTHORITY="off") as product:
        yield product


@pytest.fixture
def visit(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Person]]:
    """Opens browsers for people; at the end no page of theirs may have broken the policy or logged an error."""
    people: list[Person] = []

    def open_browser(product: Product, **options: object) -> Person:
        people.append(Person(browser, product.url, **options))  # type: ignore[arg-type]
        return people[-1]

    yield open_browser
    if request.node.stash[FAILED]:
        for number, person in enumerate(people):
            person.photograph(PICTURES, f"{request.node.name}-{number}")
    complaints = [complaint for person in people for complaint in person.complaints]
    for person in people:
        person.context.close()
    assert not complaints, "\n".join(complaints)
