"""Signs requests to AWS (Signature Version 4), with the standard library alone.
May import: the standard library only."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote


@dataclass(frozen=True)
class AwsKey:
    """An access key. `token` belongs to temporary keys only."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def sign(
    key: AwsKey,
    method: str,
    host: str,
    path: str,
    params: Mapping[str, str],
    *,
    headers: Mapping[str, str],
    body: bytes,
    region: str,
    service: str,
    now: datetime,
) -> dict[str, str]:
    """The headers to send, `Authorization` among them; `host` is signed and is for the HTTP client to send.

    `now` is aware and in UTC. https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
    """
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    sent = {**headers, "X-Amz-Date": moment}
    if key.token:
        sent["X-Amz-Security-Token"] = key.token
    signed = sorted((name.lower(), " ".join(value.split())) for name, value in {**sent, "host": host}.items())
    names = ";".join(name for name, _ in signed)
    lines = [method, quote(path, safe="/-_.~"), canonical_query(params)]
    lines += [f"{name}:{value}" for name, value in signed]
    request = "\n".join([*lines, "", names, hashlib.sha256(body).hexdigest()])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest()])
    digest = f"AWS4{key.secret}".encode()
    for part in (*scope.split("/"), to_sign):
        digest = hmac.digest(digest, part.encode(), "sha256")
    credential = f"Credential={key.id}/{scope}, SignedHeaders={names}, Signature={digest.hex()}"
    return {**sent, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}


def canonical_query(params: Mapping[str, str]) -> str:
    """The query in the order and spelling that is signed."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in params.items())
    return "&".join(f"{name}={value}" for name, value in pairs)
