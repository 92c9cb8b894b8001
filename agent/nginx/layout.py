"""Where nginx's things lie under the agent's state folder.
May import: the standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Layout:
    """The paths below `<state>/nginx`. nginx is started with `-c <conf>`."""

    root: Path

    @property
    def conf(self) -> Path:
        """The configuration nginx is started with; `current` in it is a link that an apply switches."""
        return self.current / "nginx.conf"

    @property
    def current(self) -> Path:
        """The link to the release that nginx reads at its next start or reload."""
        return self.root / "current"

    @property
    def releases(self) -> Path:
        """One folder per release."""
        return self.root / "releases"

    @property
    def test(self) -> Path:
        """Scratch space of configuration tests."""
        return self.root / "test"

    @property
    def pid(self) -> Path:
        """Where nginx's master writes its process id."""
        return self.root / "run" / "nginx.pid"

    @property
    def error_log(self) -> Path:
        """The same for every release, so that a failed reload is always explained here."""
        return self.root / "logs" / "error.log"

    @property
    def temp(self) -> Path:
        """Request and response bodies that do not fit into memory."""
        return self.root / "temp"

    @property
    def webroot(self) -> Path:
        """Answers to ACME challenges."""
        return self.root / "acme"

    def release(self, name: str) -> Path:
        """The folder of one release."""
        return self.releases / name

    def make_folders(self) -> None:
        """Makes what is missing. Workers must pass through, so these folders are 0755."""
        for folder in (self.releases, self.test, self.pid.parent, self.error_log.parent, self.temp, self.webroot):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        self.root.chmod(0o755)
