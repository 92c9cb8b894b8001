"""Until when a command may go on: its deadline, a person's cancel, the agent's own stop.
May import: agent.errors."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

from agent.errors import Cancelled, Stopping, TimedOut


@dataclass(frozen=True)
class Guard:
    """Asked between steps and while waiting. `deadline` is on the monotonic clock."""

    deadline: float
    cancelled: threading.Event = field(default_factory=threading.Event)
    stopping: threading.Event = field(default_factory=threading.Event)

    def check(self) -> None:
        """Raises Stopping, Cancelled or TimedOut when the command must not go on."""
        self.check_stop()
        if self.cancelled.is_set():
            raise Cancelled("Cancelled before anything live was touched.")
        if self.remaining() <= 0:
            raise TimedOut("The time for this command ran out before anything live was touched. Try again.")

    def check_stop(self) -> None:
        """Raises Stopping; for what must go on to its end unless the agent itself ends."""
        if self.stopping.is_set():
            raise Stopping("The agent is being stopped.")

    def remaining(self) -> float:
        """Seconds until the deadline; negative when it has passed."""
        return self.deadline - time.monotonic()
