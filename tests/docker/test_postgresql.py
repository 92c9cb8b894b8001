"""The compose file's profile for PostgreSQL: the panel waits for its database, and everything is in it afterwards."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.docker.engine import BASE, docker, has_image
from tests.docker.stack import Stack, make_images
from tests.docker.visitor import NAME, PASSWORD
from tests.product import wait_until

pytestmark = pytest.mark.timeout(300)

IMAGE = "waypost-test/postgres"
# What of the official image's start matters here: a cluster, a user and a database, made once.
_ENTRY = r"""#!/bin/sh
set -eu
bin=$(echo /usr/lib/postgresql/*/bin); data=/var/lib/postgresql/data
chown postgres $data
if [ ! -e $data/PG_VERSION ]; then
    echo "$POSTGRES_PASSWORD" > /tmp/password
    su postgres -c "$bin/initdb -E UTF8 -A scram-sha-256 -U $POSTGRES_USER --pwfile /tmp/password -D $data"
    echo 'host all all all scram-sha-256' >> $data/pg_hba.conf
    su postgres -c "$bin/pg_ctl -w start -D $data -o '-c listen_addresses='"
    PGPASSWORD=$POSTGRES_PASSWORD su postgres -c "$bin/createdb -h /var/run/postgresql -U $POSTGRES_USER $POSTGRES_DB"
    su postgres -c "$bin/pg_ctl -w stop -D $data"
fi
exec su postgres -c "exec $bin/postgres -D $data -c listen_addresses='*'"
"""


@pytest.fixture(scope="module")
def stack(docker_host: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One whose panel is told of a database that is only just being made."""
    make_images(docker_host)
    folder = tmp_path_factory.mktemp("postgresql")
    if not has_image(docker_host, IMAGE):
        (folder / "start.sh").write_text(_ENTRY)
        install = "apt-get update && apt-get install -y --no-install-recommends postgresql"
        lines = (
            f"FROM {BASE}",
            f"RUN {install} && rm -rf /var/lib/apt/lists/*",
            "COPY start.sh /start.sh",
            'ENTRYPOINT ["sh", "/start.sh"]',
        )
        (folder / "Dockerfile").write_text("\n".join(lines))
        docker(docker_host, "build", "--network", "host", "-t", IMAGE, str(folder))
    environment = {
        "POSTGRES_IMAGE": IMAGE,
        "POSTGRES_PASSWORD": "a-password",
        "PANEL_DATABASE_URL": "postgresql://waypost:a-password@postgresql/waypost",
        "COMPOSE_PROFILES": "postgresql",
    }
    made = Stack(docker_host, f"wp{uuid.uuid4().hex[:8]}p", folder / "stack", environment=environment)
    try:
        yield made.up()
    finally:
        made.down("-v")


def test_the_panel_keeps_everything_in_it_over_a_new_container(stack: Stack) -> None:
    visitor = stack.visitor()
    visitor.open(stack.setup_link().removeprefix(stack.url))
    visitor.submit("/setup", username=NAME, password=PASSWORD, repeat=PASSWORD)
    visitor.close()
    tables = "SELECT count(*) FROM agent WHERE joined_at IS NOT NULL"
    wait_until(lambda: ask(stack, tables) == "1", "the bundled agent has joined", 60)
    assert ask(stack, 'SELECT username FROM "user"')
    stack.down()
    stack.up()
    wait_until(lambda: "no administrator yet" not in stack.logs("panel") and is_well(stack), "the panel is back", 60)
    assert ask(stack, "SELECT count(*) FROM agent") == "1"


def is_well(stack: Stack) -> bool:
    """By the panel's own word."""
    done = docker(stack.host, "exec", stack.container("panel"), "python3", "-m", "panel.embedded.healthy", check=False)
    return done.returncode == 0


def ask(stack: Stack, query: str) -> str:
    """One value of the database; "" while it cannot be asked."""
    program = ("psql", "-h", "/var/run/postgresql", "-U", "waypost", "-tAc", query)
    words = ("exec", "-e", "PGPASSWORD=a-password", stack.container("postgresql"), *program)
    return docker(stack.host, *words, check=False).stdout.strip()
