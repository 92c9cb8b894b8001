"""Engine: password hashes, argon2id, computed in a thread pool of their own so that nothing else waits for them.
May import: the standard library, argon2, gevent, panel.metrics."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from gevent.threadpool import ThreadPool

from panel import metrics

# 19 MiB, three passes, one lane: OWASP's first choice and one pass more. argon2's default of four lanes
# would start four threads for each login.
_hasher = PasswordHasher(time_cost=3, memory_cost=19_456, parallelism=1)

_M_MMAP_THRESHOLD = -3  # malloc.h


@lru_cache(maxsize=1)
def _pool() -> ThreadPool:
    """Two logins at once; more wait here, and pages, streams and heartbeats go on."""
    _give_memory_back()
    return ThreadPool(2)


def _give_memory_back() -> None:
    """Without a fixed limit glibc learns from the first hash to keep blocks of its size: 19 MiB for good."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # other C libraries learn nothing
        mallopt(_M_MMAP_THRESHOLD, 1 << 20)


@lru_cache(maxsize=1)
def _dummy_hash() -> str:
    return _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    """The hash to store. Takes about 50 ms, in another thread: call it with no transaction open."""
    with metrics.hashing.track_inprogress(), metrics.hashing_time.time():
        return str(_pool().apply(_hasher.hash, (password,)))


def verify(password_hash: str | None, password: str) -> bool:
    """Whether the password is right. None and "" (nobody of that name, no password) take as long as a wrong one.

    Call it with no transaction open.
    """
    with metrics.hashing.track_inprogress(), metrics.hashing_time.time():
        return bool(_pool().apply(_verify, (password_hash, password)))


def _verify(password_hash: str | None, password: str) -> bool:
    try:
        return _hasher.verify(password_hash or _dummy_hash(), password) and bool(password_hash)
    except (VerificationError, InvalidHashError):
        return False
