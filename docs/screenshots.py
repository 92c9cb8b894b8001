"""Makes the README's and the documentation's pictures from a panel that is filled with the demo: light, dark, phone.
May import: tests.product, tests.person, panel.demo.fleet. Run: make screenshots, or with the names of some."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, expect

from docs.shrink import shrink
from panel.demo.fleet import PEOPLE
from tests.person import PASSWORD, Person, running_browser
from tests.product import ROOT, fetch, free_ports, wait_until

IMAGES = ROOT / "docs" / "images"
MOST = 120_000  # bytes that one picture should not exceed: the repository keeps every version of it
SIZES: dict[str, ViewportSize] = {
    "desktop-light": {"width": 1440, "height": 860},
    "desktop-dark": {"width": 1440, "height": 860},
    "phone-light": {"width": 390, "height": 720},
    "phone-dark": {"width": 390, "height": 720},
}
HOST = "SELECT id FROM proxy_host WHERE domain_names LIKE ?"
JOB = "SELECT id FROM command WHERE kind = ? AND state = ? ORDER BY created_at DESC LIMIT 1"
REFUSED = "SELECT refused_command_id FROM proxy_host WHERE refused_command_id IS NOT NULL"


@dataclass(frozen=True)
class Picture:
    """A page in some shapes. `query` gives the id in its address; `act` is done before the picture is taken."""

    name: str
    address: str
    shapes: tuple[str, ...] = ("desktop-light",)
    query: tuple[str, ...] = ()
    act: Callable[[Page], None] = lambda _page: None


def search(page: Page) -> None:
    """Opens the palette and types a part of many names."""
    page.keyboard.press("Control+k")
    page.keyboard.type("auth")
    expect(page.get_by_role("option").first).to_contain_text("auth")


PICTURES = (
    Picture("overview", "/", ("desktop-light", "desktop-dark", "phone-light")),
    Picture("hosts", "/hosts", ("desktop-light", "phone-dark")),
    Picture("host", "/hosts/{}", ("desktop-dark", "phone-light"), (HOST, '["app.%')),
    Picture("edit", "/hosts/{}/edit", ("desktop-light", "phone-light"), (HOST, '["ci.%')),
    Picture("palette", "/hosts", ("desktop-light", "phone-dark"), act=search),
    Picture("certificates", "/certificates", ("desktop-light", "phone-light")),
    Picture("request", "/jobs/{}", ("desktop-light",), (JOB, "issue_certificate", "succeeded")),
    Picture("renewal", "/jobs/{}", ("desktop-dark", "phone-dark"), (JOB, "renew_certificate", "running")),
    Picture("failure", "/jobs/{}", ("desktop-light", "phone-light"), (JOB, "renew_certificate", "failed")),
    Picture("job", "/jobs/{}", ("desktop-light",), (JOB, "apply_config", "succeeded")),
    Picture("refused", "/jobs/{}", ("desktop-light",), (REFUSED,)),
    Picture("agents", "/agents"),
    Picture("networks", "/networks"),
    Picture("audit", "/audit?kind=proxy_host", ("desktop-light", "phone-dark")),
    Picture("users", "/users"),
)


def main(names: list[str]) -> int:
    """Overwrites docs/images: all pictures, or those with these names."""
    wanted = [picture for picture in PICTURES if not names or picture.name in names]
    if not names:
        for path in IMAGES.glob("*.png"):
            path.unlink()
    with tempfile.TemporaryDirectory() as folder, running_demo(Path(folder)) as url, running_browser() as browser:
        database = Path(folder) / "panel.sqlite3"
        empty = browser.new_page()
        for shape, size in SIZES.items():
            person = Person(browser, url, shape=shape)
            person.page.set_viewport_size(size)
            person.log_in(PEOPLE[0][0])
            for picture in wanted:
                if shape in picture.shapes:
                    photograph(person, picture, shape, database, empty)
            person.context.close()
            if person.complaints:
                raise SystemExit("\n".join(person.complaints))
    return 0


def photograph(person: Person, picture: Picture, shape: str, database: Path, empty: Page) -> None:
    """What fits into the window, when its fonts are there."""
    page = person.page
    page.goto(picture.address.format(find_id(database, picture.query)))
    picture.act(page)
    page.evaluate("document.fonts.ready")
    path = IMAGES / f"{picture.name}-{shape}.png"
    path.write_bytes(shrink(empty, page.screenshot(caret="initial")))
    if path.stat().st_size > MOST:
        raise SystemExit(f"{path.name} is larger than {MOST:,} bytes.")


def find_id(database: Path, query: tuple[str, ...]) -> str:
    """The id that the address of a picture needs; "" for most."""
    if not query:
        return ""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        row = connection.execute(query[0], query[1:]).fetchone()
    if row is None:
        raise SystemExit(f"The demo has no such thing: {query}")
    return str(row[0])


@contextmanager
def running_demo(state: Path) -> Iterator[str]:
    """A panel with the demo, and with signs of life for its agents; its address."""
    ports = dict(zip(("PANEL_PORT", "PANEL_STREAM_PORT", "PANEL_ENROLL_PORT"), free_ports(3), strict=True))
    environment = {**os.environ, **{name: str(port) for name, port in ports.items()}, "PANEL_STATE_DIR": str(state)}
    flask = [sys.executable, "-m", "flask", "--app", "wsgi"]
    subprocess.run([*flask, "db", "upgrade"], cwd=ROOT, env=environment, check=True, capture_output=True)
    seed = [*flask, "demo", "seed", "--password-stdin"]
    subprocess.run(seed, cwd=ROOT, env=environment, check=True, input=f"{PASSWORD}\n", text=True)
    with running([sys.executable, "wsgi.py"], environment):
        port = ports["PANEL_PORT"]
        wait_until(lambda: is_up(port), "the panel answers")
        with running([*flask, "demo", "keep"], environment):
            count = "SELECT count(*) FROM agent WHERE is_connected"
            wait_until(lambda: find_id(state / "panel.sqlite3", (count,)) != "0", "agents look alive")
            yield f"http://127.0.0.1:{port}"


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    """A process that ends with the block."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def is_up(port: int) -> bool:
    """Whether the panel answers there."""
    try:
        return fetch(port, path="/login").status == 200
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
