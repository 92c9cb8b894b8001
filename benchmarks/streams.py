"""What two hundred live pages, readers and stuck ones, cost others: pages and commands, under steady news.
May import: panel, benchmarks, tests.product. Run: python -m benchmarks.streams [streams]"""

from __future__ import annotations

import selectors
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.operator import Operator
from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Role, User
from panel.services import browser_sessions
from panel.services.browser_sessions import Visit
from panel.web.sse import MOST_PER_PERSON
from tests.product import Product, running_product, wait_until

HOSTS, ROUNDS = 25, 150
NEWS_EVERY = 0.2  # seconds between two saves, each of which concerns every live page
ROWS = ",".join(str(number) for number in range(1, HOSTS + 1))


@dataclass(frozen=True)
class Cost:
    """Seconds: pages, and commands from the click to the stored result."""

    pages: list[float]
    commands: list[float]

    def show(self, name: str) -> None:
        """Prints one row."""
        numbers = (_p50(self.pages), _p99(self.pages), _p50(self.commands), _p99(self.commands))
        print(f"{name:>24}" + "".join(f"{1000 * seconds:>12.1f} ms" for seconds in numbers), flush=True)


def main(count: int) -> None:
    """Prints one row each for no streams, streams that are read, and streams that are stuck; and ratios."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_product(Path(folder) / "var") as product,
        ExitStack() as stack,
    ):
        operator, saver = (stack.enter_context(Operator(product)) for _ in range(2))
        operator.set_up(product.setup_link)
        product.wait_online()
        saver.log_in()
        agent_id = product.query("SELECT id FROM agent")[0][0]
        for number in range(HOSTS):
            saver.open("/hosts/new")
            saver.save_host("/hosts/new", agent_id, f"site-{number}.example.test", 9, "save")
        cookies = make_people(product, -(-count // MOST_PER_PERSON))
        print(f"{'':>24}{'page p50':>15}{'p99':>15}{'command p50':>15}{'p99':>15}")
        with news(saver, agent_id):
            costs = {"no streams": measure(product, operator, agent_id)}
            costs["no streams"].show("no streams")
            for name, is_read in ((f"{count} that are read", True), (f"{count} that are stuck", False)):
                with streams(product, cookies, count, is_read=is_read):
                    costs[name] = measure(product, operator, agent_id)
                costs[name].show(name)
        base, *others = costs.values()
        for other in others:
            pages, commands = _p50(other.pages) / _p50(base.pages), _p50(other.commands) / _p50(base.commands)
            tails = _p99(other.pages) / _p99(base.pages), _p99(other.commands) / _p99(base.commands)
            print(f"{'ratio':>24}{pages:>15.2f}{tails[0]:>15.2f}{commands:>15.2f}{tails[1]:>15.2f}")


def make_people(product: Product, count: int) -> list[str]:
    """People who may look, and their cookies."""
    app = create_app(Config.from_env({"PANEL_STATE_DIR": str(product.state / "panel")}))
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    with app.app_context():
        people = [User(username=f"viewer-{n}", password_hash="x", role=Role.VIEWER) for n in range(count)]
        with transaction():
            db.session.add_all(people)
        cookies = [str(serializer.dumps(log_in(person))) for person in people]
        db.engine.dispose()
    return cookies


def log_in(person: User) -> dict[str, object]:
    """What the cookie of a login holds."""
    with transaction():
        key = browser_sessions.start(person, Visit("127.0.0.1", "a benchmark"), by="a benchmark")
    return {"_user_id": person.get_id(), "_fresh": True, "key": key}


@contextmanager
def news(operator: Operator, agent_id: str) -> Iterator[None]:
    """Somebody saves one host again and again."""
    over = threading.Event()

    def save() -> None:
        port = 1024
        while not over.wait(NEWS_EVERY):
            port += 1
            operator.open("/hosts/1/edit")
            operator.save_host("/hosts/1/edit", agent_id, "site-0.example.test", port, "save")

    saver = threading.Thread(target=save)
    saver.start()
    try:
        yield
    finally:
        over.set()
        saver.join()


@contextmanager
def streams(product: Product, cookies: list[str], count: int, *, is_read: bool) -> Iterator[None]:
    """So many live pages that show every host; one thread reads them all, or nobody does."""
    port, over = product.ports["PANEL_PORT"], threading.Event()
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for number in range(count):
            browser = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            cookie = cookies[number % len(cookies)]
            head = f"GET /live?topics=jobs,hosts&rows={ROWS} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            browser.sendall(f"{head}Cookie: waypost={cookie}\r\nAccept: text/event-stream\r\n\r\n".encode())
            selector.register(browser, selectors.EVENT_READ)

        def read() -> None:
            while not over.is_set():
                for key, _ in selector.select(0.1):
                    key.fileobj.recv(65536)  # type: ignore[union-attr]

        reader = threading.Thread(target=read if is_read else over.wait)
        reader.start()
        time.sleep(3)  # all have got their first message, or what the system took of it
        try:
            yield
        finally:
            over.set()
            reader.join()


def measure(product: Product, operator: Operator, agent_id: str) -> Cost:
    """One after the other, in turns: a page, and every tenth time a question to the agent."""
    pages, commands = [], []
    for number in range(ROUNDS):
        began = time.perf_counter()
        operator.open("/hosts")
        pages.append(time.perf_counter() - began)
        if number % 10 == 0:
            commands.append(_ask(product, operator, agent_id))
        time.sleep(0.02)
    return Cost(pages, commands)


def _ask(product: Product, operator: Operator, agent_id: str) -> float:
    operator.open(f"/agents/{agent_id}")
    command_id = operator.post(f"/agents/{agent_id}/check").rpartition("/")[2]
    ended = "SELECT created_at, finished_at FROM command WHERE id = ? AND finished_at IS NOT NULL"
    ((created, finished),) = wait_until(lambda: product.query(ended, command_id), "the question is answered")
    return (datetime.fromisoformat(finished) - datetime.fromisoformat(created)).total_seconds()


def _p50(seconds: list[float]) -> float:
    return statistics.median(seconds)


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]


if __name__ == "__main__":
    main(int((sys.argv[1:] or ["200"])[0]))
