"""The same try from inside nginx's container, by a program that its image has.
May import: agent.docker, agent.upstreams.{connect,upstream}."""

from __future__ import annotations

import threading

from agent.docker.engine import DockerRefused, Engine
from agent.docker.facts import Container
from agent.upstreams.connect import HELLO_REPLY, SECONDS, Result, cause_of, client_hello, read_reply
from agent.upstreams.upstream import Cause, Upstream

_GRACE_SECONDS = 4.0
# Exit codes of a program that is not there: of the Engine's own runtime, and of `timeout`.
_MISSING = {126, 127}

# Every Debian has it. Arguments: host, port, seconds, the bytes of a TLS handshake in hex (or nothing).
_PERL = r"""
use IO::Socket::IP;
use Socket qw(getaddrinfo);
my ($host, $port, $seconds, $hello) = @ARGV;
$| = 1;
print "asked ";
my ($problem, @addresses) = getaddrinfo($host, $port, { socktype => SOCK_STREAM });
if ($problem || !@addresses) { print "unresolved"; exit }
$SIG{ALRM} = sub { print "timeout"; exit };
alarm $seconds;
my $wire = IO::Socket::IP->new(PeerAddrInfo => \@addresses);
if (!$wire) { print "errno ", $! + 0; exit }
if (!$hello) { print "open"; exit }
$SIG{ALRM} = sub { print "silent"; exit };
syswrite $wire, pack("H*", $hello);
my $reply = "";
while (length $reply < 7) { sysread($wire, $reply, 7 - length $reply, length $reply) or last }
print "reply ", unpack("H*", $reply);
"""

_CURL_CAUSES = {6: Cause.UNRESOLVED, 28: Cause.TIMEOUT, 35: Cause.TLS}


class NoProgram(Exception):
    """nginx's image has none of the programs that could try."""


class InsideProbe:
    """Thread-safe. What an image has is found out once for each container."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lacking: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def connect(self, nginx: Container, upstream: Upstream) -> Result:
        """Raises NoProgram, DockerUnavailable, and DockerRefused when the container has ended."""
        for program, run in (("perl", self._by_perl), ("curl", self._by_curl)):
            if (nginx.id, program) in self._lacking:
                continue
            if (result := run(nginx, upstream)) is not None:
                return result
            with self._lock:
                self._lacking = {known for known in self._lacking if known[0] == nginx.id} | {(nginx.id, program)}
        raise NoProgram

    def _by_perl(self, nginx: Container, upstream: Upstream) -> Result | None:
        hello = client_hello(_server_name(upstream)).hex() if upstream.scheme == "https" else ""
        host = upstream.address or upstream.host
        # `timeout` ends a look for a name that nobody answers, which no signal of Perl's own does.
        limit = ["timeout", "-s", "KILL", str(int(2 * SECONDS))]
        arguments = [host, str(upstream.port), str(int(SECONDS)), hello]
        done = self._run(nginx, [*limit, "perl", "-e", _PERL, "--", *arguments])
        return None if done is None else _read_perl(done[1].decode("ascii", "replace"))

    def _by_curl(self, nginx: Container, upstream: Upstream) -> Result | None:
        """A bare connection is what curl calls telnet, which ends at once without input."""
        is_tls = upstream.scheme == "https"
        host = f"[{upstream.address}]" if ":" in upstream.address else upstream.host
        url = f"{'https' if is_tls else 'telnet'}://{host}:{upstream.port}"
        told = ["-w", "\n%{time_connect} %{time_appconnect}"]
        command = ["curl", "-q", "-sv", "-k", "-I", "-g", "-m", str(int(SECONDS)), "-o", "/dev/null", *told, "--", url]
        done = self._run(nginx, command)
        return None if done is None else _read_curl(*done, is_tls=is_tls)

    def _run(self, nginx: Container, command: list[str]) -> tuple[int, bytes] | None:
        """None when the program is not there."""
        try:
            code, output = self._engine.run(nginx, command, SECONDS + _GRACE_SECONDS)
        except DockerRefused as error:
            if "executable file not found" in error.message:
                return None
            raise
        return None if code in _MISSING else (code, output)


def _server_name(upstream: Upstream) -> str:
    return "" if upstream.address else upstream.host


def _read_perl(text: str) -> Result | None:
    began, _, said = text.strip().partition(" ")
    if began == "asked" and not said:
        return Result(Cause.UNRESOLVED, "no name server answered in time")
    word, _, rest = said.partition(" ")
    if word == "open":
        return Result()
    if word == "reply":
        return read_reply(bytes.fromhex(rest)[:HELLO_REPLY])
    if word == "errno" and rest.isdigit():
        return cause_of(int(rest))
    known = {"unresolved": Result(Cause.UNRESOLVED), "timeout": Result(Cause.TIMEOUT)}
    known["silent"] = Result(Cause.TLS, "it did not answer the handshake")
    return known.get(word)


def _read_curl(code: int, output: bytes, *, is_tls: bool) -> Result | None:
    """None when this curl cannot do it."""
    text = output.decode(errors="replace")
    connected, secured = [float(word) > 0 for word in text.split()[-2:]] if _has_times(text) else (False, False)
    if code == 1:  # a protocol that it was built without
        return None
    if (secured if is_tls else connected) or code == 0:
        return Result()
    if code == 7:
        return Result(Cause.REFUSED if "Connection refused" in text else Cause.UNREACHABLE)
    if connected:
        return Result(Cause.TLS, "it does not speak TLS there" if "wrong version" in text else "the handshake failed")
    return Result(_CURL_CAUSES.get(code, Cause.UNREACHABLE))


def _has_times(text: str) -> bool:
    words = text.split()[-2:]
    return len(words) == 2 and all(word.replace(".", "", 1).isdigit() for word in words)
