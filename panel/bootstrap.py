"""Makes gevent and gRPC share one process: the first import of every entry point, and an early pytest plugin.
May import: gevent and grpc only, in this order."""

import os

# Read by gRPC at its import: with fork handlers on, children of subprocess.run() die by SIGABRT (grpc#43055).
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from gevent import monkey

if not monkey.is_module_patched("threading"):
    monkey.patch_all()

import gevent
import grpc.experimental.gevent as grpc_gevent

# Binds gRPC's completion queues to this thread's hub; without it the first poll freezes the whole process.
grpc_gevent.init_gevent()

# gRPC's poll loops and DNS live in the hub's own pool; whatever is slow has a pool of its own.
gevent.get_hub().threadpool.maxsize = 32
