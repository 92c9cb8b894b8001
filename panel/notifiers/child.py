"""The process that sends one message. Reads an order as JSON from standard input, answers with JSON and ends.
May import: panel.notifiers."""

from __future__ import annotations

import base64
import json
import os
import signal
import sys
from collections.abc import Iterable
from urllib.parse import quote

from panel.notifiers import confinement, registry
from panel.notifiers.notifier import Message, NotifierError


def main() -> int:
    """Sends what is ordered; 0 when it was taken."""
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)  # what a library prints is no answer
        order = json.load(sys.stdin)
        signal.alarm(order["timeout"])
        error, remark = _send(order["kind"], order["settings"], Message(**order["message"]))
        json.dump({"error": error, "remark": remark}, answer)
    return 1 if error else 0


def _send(kind: str, settings: dict[str, str], message: Message) -> tuple[str, str]:
    """The error and the remark, one of them empty."""
    notifier = registry.kinds()[kind]
    secrets = [settings.get(name, "") for name in notifier.secrets]
    refusals = confinement.confine()
    try:
        return "", scrub(notifier.send(settings, message), secrets)
    except NotifierError as error:
        return refusals[0] if refusals else scrub(str(error), secrets), ""


def scrub(text: str, secrets: Iterable[str]) -> str:
    """The text without the secrets, plain or as the wire has them: the far side may repeat what it was given."""
    for secret in filter(None, secrets):
        for form in (secret, quote(secret), quote(secret, safe=""), base64.b64encode(secret.encode()).decode()):
            text = text.replace(form, "…")
    return text


if __name__ == "__main__":
    sys.exit(main())
