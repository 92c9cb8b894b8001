"""Server time of the lists' pages with many hosts against few: 50 rows each; and of one change of all hosts at once.
May import: panel. Run: python -m benchmarks.lists [few many]"""

import panel.bootstrap  # noqa: F401,I001  # before anything else, as in every entry point

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from flask import Flask
from flask.testing import FlaskClient

from panel.app import create_app
from panel.config import Config
from panel.extensions import db, transaction
from panel.models import Agent, Certificate, DomainName, HostTag, ProxyHost, Role, User
from panel.models.types import utcnow
from panel.services import browser_sessions, bulk, bulk_undo
from panel.services.browser_sessions import Visit
from panel.services.bulk import Selection
from panel.services.host_queries import HostFilter

ROUNDS = 40
AIM = 2.0  # many to few
AGENTS = 4
PAGES = {
    "the list": "/hosts?per=50",
    "by name": "/hosts?per=50&sort=name",
    "by status": "/hosts?per=50&sort=status",
    "last page": "/hosts?per=50&page=9999",
    "search": "/hosts?per=50&q=example",
    "a tag": "/hosts?per=50&tag=all",
    "HTTPS": "/hosts?per=50&tls=https",
    "certificates": "/certificates?per=50",
    "agents": "/agents",
}


def main(few: int, many: int) -> None:
    """One row per page: p95 with few and with many hosts, in turns in one process, and how they compare."""
    with site(few) as small, site(many) as large:
        print(f"{'p95 of ' + str(ROUNDS):>14} {few:>7} hosts {many:>7} hosts  ratio (aim: at most {AIM:g})")
        for name, path in PAGES.items():
            spent: dict[int, list[float]] = {few: [], many: []}
            for number in range(ROUNDS + 3):
                for size, client in ((few, small), (many, large)):
                    took = open_page(client, path)
                    spent[size] += [took] if number >= 3 else []
            first, last = percentile(spent[few]), percentile(spent[many])
            print(f"{name:>14} {1000 * first:>10.1f} ms {1000 * last:>10.1f} ms {last / first:>6.2f}", flush=True)
        change_all(large.application, many)


@contextmanager
def site(size: int) -> Iterator[FlaskClient]:
    """A panel with so many live hosts, each with a certificate and two tags; and a browser that is logged in."""
    with tempfile.TemporaryDirectory() as folder:
        config = Config(state_dir=Path(folder), database_url=f"sqlite:///{folder}/panel.sqlite3", secret_key="0" * 40)
        app = create_app(config)
        app.config.update(WTF_CSRF_ENABLED=False)
        with app.app_context():
            db.create_all()
            user = User(username="ada", password_hash="-", role=Role.ADMINISTRATOR)
            db.session.add(user)
            fill(size)
            db.session.commit()
            with transaction():
                key = browser_sessions.start(user, Visit("192.0.2.7", "benchmark"), by="a benchmark")
            values = {"_user_id": user.get_id(), "_fresh": True, "key": key}
        client = app.test_client()
        with client.session_transaction() as session:
            session.update(values)
        yield client


def fill(size: int) -> None:
    """Agents with reports, and hosts that are live."""
    now = utcnow()
    facts = {"joined_at": now, "is_connected": True, "is_synced": True, "last_seen_at": now + timedelta(hours=1)}
    made = [Agent(id=f"7d5f4a0e-0000-4000-8000-{n:012}", name=f"edge-{n}", **facts) for n in range(AGENTS)]
    for agent in made:
        agent.generation = agent.applied_generation = 1
        agent.upstreams_at = now
    db.session.add_all(made)
    db.session.flush()
    for agent, numbers in [(agent, range(n, size, AGENTS)) for n, agent in enumerate(made)]:
        agent.upstreams = [report(number) for number in numbers]
        for number in numbers:
            add_host(agent, number)


def add_host(agent: Agent, number: int) -> None:
    """One live host with its certificate, a second name and two tags."""
    now, name = utcnow(), f"host-{number}.example.com"
    ends = now + timedelta(days=number % 90 + 1)
    names = [name, f"www.{name}"]
    certificate = Certificate(agent_id=agent.id, name=name, domain_names=names, is_present=True, not_after=ends)
    certificate.not_before = ends - timedelta(days=90)
    host = ProxyHost(agent_id=agent.id, domain_names=names, forward_host=f"10.0.{number // 250}.{number % 250}")
    host.forward_port, host.certificate, host.changed_generation, host.live_sha256 = 3000, certificate, 1, "0" * 64
    host.tag_rows = [HostTag(name="all"), HostTag(name=f"group-{number % 20}")]
    db.session.add(host)
    db.session.flush()
    db.session.add_all(DomainName(agent_id=agent.id, name=one, proxy_host_id=host.id) for one in names)


def report(number: int) -> dict[str, object]:
    """What an agent says of one upstream."""
    words = dict.fromkeys(("cause", "sentence", "next_step", "container", "network"), "")
    place = {"scheme": "http", "host": f"10.0.{number // 250}.{number % 250}", "port": 3000}
    return {**place, **words, "ok": True, "checked_at": utcnow().isoformat(), "milliseconds": 2}


def open_page(client: FlaskClient, path: str) -> float:
    """The seconds of processor time that the panel, its database within it, needs for one page."""
    began = time.process_time()
    response = client.get(path)
    took = time.process_time() - began
    if response.status_code != 200:
        raise RuntimeError(f"{path}: {response.status}")
    return took


def change_all(app: Flask, size: int) -> None:
    """Disables every host in one change, and takes that back."""
    with app.app_context():
        began = time.perf_counter()
        with transaction():
            user = db.session.get_one(User, 1)
            outcome = bulk.set_enabled(Selection(wanted=HostFilter()), False, user)
        disabled = time.perf_counter() - began
        began = time.perf_counter()
        with transaction():
            back = bulk_undo.undo(*(outcome.events or (0, 0)), db.session.get_one(User, 1))
        undone = time.perf_counter() - began
    if len(outcome.changed) != size or len(back.changed) != size:
        raise RuntimeError(str(outcome.left[:3] + back.left[:3]))
    print(
        f"{size} hosts disabled in one change: {disabled:.2f} s; undone: {undone:.2f} s; applies: {len(outcome.jobs)}"
    )


def percentile(values: list[float]) -> float:
    """The 95th percentile."""
    return sorted(values)[int(len(values) * 0.95) - 1]


if __name__ == "__main__":
    few, many = [int(argument) for argument in sys.argv[1:3]] or (50, 2000)
    main(few, many)
