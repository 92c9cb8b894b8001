"""A real PostgreSQL for tests: a cluster in a temporary folder, and a database for each test that asks.
May import: the standard library, psycopg, panel.embedded."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import psycopg

from panel.embedded.system_packages import find_program


@dataclass
class Cluster:
    """A running server that listens on a socket in `folder`."""

    folder: Path
    user: str
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @contextmanager
    def database(self) -> Iterator[str]:
        """What a test sees as an empty database: a schema, which is made and dropped much faster than a database."""
        name = f"test{next(self._numbers)}"
        self._execute(f"CREATE SCHEMA {name}")
        try:
            yield f"postgresql+psycopg://{self.user}@/postgres?host={self.folder}&options=-csearch_path%3D{name}"
        finally:
            self._execute(f"DROP SCHEMA {name} CASCADE")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(host=str(self.folder), user=self.user, dbname="postgres", autocommit=True) as connection:
            connection.execute("SET client_min_messages = error")
            connection.execute(statement.encode())


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """A cluster that forgets everything: nothing is synced to the disk."""
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    folder = Path(tempfile.mkdtemp(prefix="wp-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, user)
    data = folder / "data"
    try:
        _run(user, "initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", f"--username={user}", f"--pgdata={data}")
        options = f"-k {folder} -c listen_addresses= -c fsync=off -c full_page_writes=off"
        _run(user, "pg_ctl", "start", "--wait", f"--pgdata={data}", f"--log={folder / 'log'}", f"--options={options}")
        try:
            yield Cluster(folder, user)
        finally:
            _run(user, "pg_ctl", "stop", "--mode=immediate", f"--pgdata={data}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(user: str, program: str, *arguments: str) -> None:
    """Debian keeps these programs in a folder that is on nobody's PATH. The server does not run as root."""
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    path = str(places[-1]) if places else find_program(program) or program
    as_user = {"user": user, "group": user} if os.geteuid() == 0 else {}
    done = subprocess.run([path, *arguments], capture_output=True, text=True, cwd="/", **as_user)  # type: ignore[call-overload]
    if done.returncode:
        raise AssertionError(f"{program}: {done.stdout[-1000:]}{done.stderr[-2000:]}")
