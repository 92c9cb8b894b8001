"""One Docker Engine, spoken to by its API and with a deadline for every call; its words made plain.
May import: agent.errors, agent.output, agent.docker.{facts,frames,knock} and the package docker."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from agent.docker.facts import (
    Container,
    Endpoint,
    Network,
    Process,
    read_aliases,
    read_container,
    read_network,
    read_processes,
)
from agent.docker.frames import read_output
from agent.docker.knock import DockerUnavailable, knock, why_unavailable
from agent.errors import AgentError
from agent.output import clean

if TYPE_CHECKING:
    from docker import APIClient
    from docker.types.daemon import CancellableStream

_log = logging.getLogger(__name__)

CALL_SECONDS = 10
DEFAULT_HOST = "unix:///var/run/docker.sock"
_T = TypeVar("_T")


class DockerRefused(AgentError):
    """The Engine answered and said no, in its own words."""


class EventStream:
    """Events as they happen. The iteration ends when somebody closes it, or when the Engine goes away."""

    def __init__(self, client: APIClient, stream: CancellableStream[dict[str, Any]]) -> None:
        self._client = client
        self._stream = stream

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._stream)

    def close(self) -> None:
        """Ends the iteration, also one in another thread. Closing twice is fine."""
        try:
            self._stream.close()
        except OSError as error:
            _log.debug("the stream of events was closed by the Engine first: %s", error)
        self._client.close()


class Engine:
    """Thread-safe: one client per thread, because a connection is used by one at a time."""

    def __init__(self, host: str = DEFAULT_HOST, own_hostname: str = "") -> None:
        """`own_hostname` is what Docker calls the agent's own container; the machine's host name by default."""
        self.host = host
        self._own_hostname = own_hostname or socket.gethostname()
        self._local = threading.local()

    def containers(self) -> list[Container]:
        """All containers, also stopped ones, by name."""
        rows = self._call(lambda api: api.containers(all=True))
        return sorted((read_container(row) for row in rows), key=lambda container: container.name)

    def find_container(self, name_or_id: str) -> Container | None:
        """The container of exactly this name or id (also a short one); None when there is none.

        It is looked up in the Engine's own list, so that a name never becomes a part of a path of the API.
        """
        return next((one for one in self.containers() if one.is_called(name_or_id)), None)

    def own_container(self) -> Container | None:
        """The container that this agent runs in; None on a bare machine."""
        return self.find_container(self._own_hostname)

    def networks(self) -> list[Network]:
        """All networks with who is in them, by name."""
        rows = self._call(lambda api: api.networks())
        members = list(self._call(lambda api: api.containers(all=True)))
        return sorted((read_network(row, members) for row in rows), key=lambda network: network.name)

    def find_network(self, name_or_id: str) -> Network | None:
        """The network of exactly this name or id; None when there is none."""
        return next((one for one in self.networks() if name_or_id in {one.name, one.id}), None)

    def connect(self, network: Network, container: Container, aliases: tuple[str, ...] = ()) -> None:
        """Joins a container to a network. Raises DockerRefused with the Engine's words."""
        self._call(lambda api: api.connect_container_to_network(container.id, network.id, aliases=list(aliases)))

    def disconnect(self, network: Network, container: Container) -> None:
        """Takes a container out of a network. Raises DockerRefused with the Engine's words."""
        self._call(lambda api: api.disconnect_container_from_network(container.id, network.id))

    def take_out(self, endpoint: Endpoint, container: Container) -> None:
        """Takes a container out of a network that is gone, which only its name still tells."""
        self._call(lambda api: api.disconnect_container_from_network(container.id, endpoint.network, force=True))

    def signal(self, container: Container, name: str) -> None:
        """Sends a signal ("HUP") to the container's first process."""
        self._call(lambda api: api.kill(container.id, signal=name))

    def processes(self, container: Container) -> list[Process]:
        """What runs in a container, with the Engine's own process ids."""
        return read_processes(self._call(lambda api: api.top(container.id, ps_args="-eo pid,ppid,etimes,lstart,args")))

    def run(self, container: Container, command: list[str], seconds: float) -> tuple[int, bytes]:
        """Runs a program in a container, without a shell: its exit code and what it wrote, at most 2 MiB.

        Raises DockerUnavailable when it has not ended after so many seconds; it may then still run.
        """
        with _plain_words(self.host), closing(self._client()) as api:
            made = api.exec_create(container.id, command, stdin=False, tty=False)
            stream = api.exec_start(made["Id"], socket=True)
            # The library hands out the socket of an answer that it would leave open.
            with closing(getattr(stream, "_response", stream)):
                output = read_output(stream, time.monotonic() + seconds)
            return int(api.exec_inspect(made["Id"])["ExitCode"]), output

    def aliases(self, container: Container) -> dict[str, tuple[str, ...]]:
        """A container's other names in each of its networks, by the network's id; its list does not tell them."""
        row = self._call(lambda api: api.inspect_container(container.id))
        return read_aliases(row)

    def logs(self, container: Container, lines: int) -> bytes:
        """The last lines of a container's log."""
        found: bytes = self._call(lambda api: api.logs(container.id, tail=lines))
        return found

    def version(self) -> str:
        """The Engine's version."""
        return str(self._call(lambda api: api.version())["Version"])

    def events(self) -> EventStream:
        """What happens to containers and networks from now on. Raises DockerUnavailable."""
        with _plain_words(self.host):
            client = self._client()
            return EventStream(client, client.events(filters={"type": ["container", "network"]}, decode=True))

    def _call(self, ask: Callable[[APIClient], _T]) -> _T:
        with _plain_words(self.host):
            return ask(self._own_client())

    def _own_client(self) -> APIClient:
        client: APIClient | None = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._client()
        return client

    def _client(self) -> APIClient:
        from docker import APIClient  # noqa: PLC0415 - costs 20 MB, and only where there is an Engine

        knock(self.host)
        return APIClient(base_url=self.host, version="auto", timeout=CALL_SECONDS)


@contextmanager
def _plain_words(host: str) -> Iterator[None]:
    """Makes the library's errors ours: away, forbidden, or a no with the Engine's own words."""
    from docker.errors import APIError, DockerException  # noqa: PLC0415 - costs 20 MB, and only where there is an Engine
    from requests.exceptions import RequestException  # noqa: PLC0415 - the same

    try:
        yield
    except APIError as error:
        words = clean(str(error.explanation or error))
        raise DockerRefused(f"The Docker Engine refused: {words}") from error
    except (DockerException, RequestException, OSError) as error:
        raise DockerUnavailable(why_unavailable(host, error)) from error
