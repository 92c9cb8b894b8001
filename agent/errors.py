"""The errors that people read: each carries the sentence that a job's page or the log shows.
May import: the standard library only."""


class AgentError(Exception):
    """A refusal or failure with a sentence for the person."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BundleRefused(AgentError):
    """The bundle breaks a rule of this agent. `path` and `line` name the place when there is one."""

    def __init__(self, message: str, path: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


class NginxUnavailable(AgentError):
    """nginx is missing, stopped or belongs to somebody else; the sentence says what to do."""


class Cancelled(AgentError):
    """A person cancelled the command before it touched anything live."""


class TimedOut(AgentError):
    """The command's run time-out passed before it touched anything live."""


class Stopping(AgentError):
    """The agent is being stopped; the command is taken up again at the next start."""


class Refused(AgentError):
    """The panel answered and said no: trying again soon is of no use."""


class Unreachable(AgentError):
    """The panel did not answer; trying again is right."""
