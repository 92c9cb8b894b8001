"""What stands behind the door: accounts are found, made, and made again; whatever goes wrong becomes a failure.
May import: agent.acme, agent.dns.spec, agent.errors, agent.nginx.guard, agent.output."""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from agent.acme import ari, revocation
from agent.acme.account import AccountFiles
from agent.acme.failures import BadBinding, BadCertificate, Context, classify, failure
from agent.acme.issue import Issuance, is_account_gone
from agent.acme.net import Net, Way
from agent.acme.order import DirectoryFacts, OrderLog, OrderRequest, RenewalInfo
from agent.acme.pace import Throttle
from agent.acme.problems import BrokenOrder, NotAnAuthority, ProblemReply, Unreached
from agent.acme.session import Session, Sessions, fetch_directory
from agent.acme.spec import AcmeFailure, Authority, Challenge, Issued
from agent.acme.steps import Steps
from agent.dns.spec import DnsFailure
from agent.errors import TimedOut
from agent.nginx.guard import Guard
from agent.output import Output

_SECONDS, _ASK_SECONDS = 60.0, 10.0  # for what has no deadline of its own
_TROUBLES = (ProblemReply, NotAnAuthority, BrokenOrder, Unreached, BadBinding, BadCertificate, DnsFailure, OSError)
_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


@dataclass
class _Attempt:
    """One job at one authority."""

    request: OrderRequest
    names: tuple[str, ...]
    context: Context
    way: Way
    steps: Steps
    log: OrderLog
    guard: Guard


class Desk:
    """Knows how each authority is reached. Thread-safe."""

    def __init__(self, folder: Path, webroot: Path, user_agent: str) -> None:
        self._files, self._webroot, self._user_agent = AccountFiles(folder), webroot, user_agent
        self._sessions = Sessions(self._files)
        self._throttles: dict[str, Throttle] = {}
        self._lock = threading.Lock()

    def obtain(self, request: OrderRequest, log: OrderLog, output: Output, guard: Guard) -> Issued:
        """As Authorities.obtain."""
        steps = Steps(output)
        context = Context(
            request.authority.label, request.directory_url, request.spec.names, request.spec.challenge.value
        )
        with failing_as(context, steps):
            names = normal_names(request.spec.names, context)
            refuse_impossible(request, names, context)
            with closing(self._way(request.authority, request.directory_url)) as way:
                return self._try(_Attempt(request, names, context, way, steps, log, guard))

    def _try(self, job: _Attempt) -> Issued:
        """Once more with a new account when the authority lost the old one."""
        request = job.request
        session = self._sessions.open(request.authority, request.directory_url, job.way, job.guard)
        try:
            return self._issuance(job, session).run(request.order_url)
        except ProblemReply as reply:
            if not is_account_gone(reply.problem, job.context):
                raise
            detail = reply.problem.detail
            job.steps.output.warn(f"{job.context.label} does not know this account ({detail}). Making it again.")
            job.log.order_made("")
            dead = re.search(r"deactivated|revoked", detail, re.IGNORECASE) is not None
            again = self._sessions.reopen(session, request.authority, job.way, job.guard, new_key=dead)
            return self._issuance(job, again).run("")

    def _issuance(self, job: _Attempt, session: Session) -> Issuance:
        return Issuance(
            session, job.request, job.names, job.context, self._webroot, job.log, job.steps, job.guard, job.way.throttle
        )

    def revoke(self, authority: Authority, leaf_pem: str, key_pem: str, reason: int) -> None:
        """As Authorities.revoke."""
        context, guard = Context(authority.label, authority.directory_url), _guard()
        with failing_as(context, None), closing(self._way(authority, authority.directory_url)) as way:
            session = self._sessions.existing(authority.directory_url, way, guard)
            directory = session.directory if session else fetch_directory(authority.directory_url, way, guard)
            revocation.revoke(
                session, directory, lambda key, alg: Net(way, guard, key, alg), (leaf_pem, key_pem), reason
            )

    def renewal_info(self, authority: Authority, leaf_pem: str) -> RenewalInfo | None:
        """As Authorities.renewal_info."""
        guard = _guard()
        try:
            with closing(self._way(authority, authority.directory_url)) as way:
                directory = fetch_directory(authority.directory_url, way, guard)
                return ari.ask(Net(way, guard), directory, leaf_pem)
        except (*_TROUBLES, TimedOut) as error:
            ari.log_unusable(authority.directory_url, error)
            return None

    def directory(self, authority: Authority, *, staging: bool = False) -> DirectoryFacts:
        """As Authorities.directory."""
        url = authority.staging_directory_url if staging else authority.directory_url
        with failing_as(Context(authority.label, url), None), closing(self._way(authority, url)) as way:
            found = fetch_directory(url, way, _guard(_ASK_SECONDS))
        return DirectoryFacts(
            url=url,
            caa_identities=found.caa_identities,
            profiles=found.profiles,
            terms_url=found.terms_url,
            needs_binding=found.needs_binding,
            has_renewal_info=bool(found.renewal_info),
            date=found.date,
        )

    def account_url(self, authority: Authority) -> str:
        """As Authorities.account_url."""
        account = self._files.load(authority.directory_url)
        return account.url if account else ""

    def _way(self, authority: Authority, directory_url: str) -> Way:
        with self._lock:
            throttle = self._throttles.setdefault(directory_url, Throttle(unlimited=authority.is_test))
        ca_file = self._files.ca_file(authority, directory_url)
        return Way(ca_file, self._user_agent, throttle, authority.is_test)


@contextmanager
def failing_as(context: Context, steps: Steps | None) -> Iterator[None]:
    """Turns every trouble with an authority, or with our own disk, into an AcmeFailure of the stage that runs."""
    try:
        yield
    except AcmeFailure as failed:
        failed.stage = failed.stage or (steps.stage if steps else "")
        raise
    except _TROUBLES as error:
        raise AcmeFailure(classify(error, context), steps.stage if steps else "") from error
    except TimedOut as error:
        if steps is not None:  # the job's own time is over, not ours
            raise
        raise AcmeFailure(failure("slow", context, detail="no answer in time")) from error


def normal_names(names: Sequence[str], context: Context) -> tuple[str, ...]:
    """Lower case, no dot at the end, no doubles. Raises AcmeFailure for what is neither a name nor an address."""
    normal = tuple(dict.fromkeys(name.strip().lower().removesuffix(".") for name in names))
    bad = [name for name in normal if not _is_address(name) and (len(name) > 253 or not _NAME.fullmatch(name))]
    if bad or not normal:
        raise AcmeFailure(
            failure("name_refused", context, names=bad, detail="This is not a name that can be asked for.")
        )
    return tuple(str(ipaddress.ip_address(name)) if _is_address(name) else name for name in normal)


def refuse_impossible(request: OrderRequest, names: Sequence[str], context: Context) -> None:
    """What no authority can do is not asked of one. Raises AcmeFailure."""
    wildcards = [name for name in names if name.startswith("*.")]
    if wildcards and request.spec.challenge is Challenge.HTTP_01:
        raise AcmeFailure(failure("wildcard_needs_dns", context, names=wildcards))
    addresses = [name for name in names if _is_address(name)]
    if addresses and request.spec.challenge is Challenge.DNS_01:
        raise AcmeFailure(failure("no_challenge", context, names=addresses))
    if request.spec.challenge is Challenge.DNS_01 and request.spec.dns is None:
        raise AcmeFailure(failure("dns_credential", context, detail="The certificate has no DNS credential."))
    if not request.directory_url:
        raise AcmeFailure(failure("other", context, detail="this authority has no directory for tries (staging)"))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _guard(seconds: float = _SECONDS) -> Guard:
    return Guard(time.monotonic() + seconds)
