"""Providers are found by being there; looking costs nothing; no value of a credential gets into words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.dns import providers as package
from agent.dns.credential import DnsCredential
from agent.dns.registry import open_provider, providers
from agent.dns.spec import DnsFailure
from agent.nginx.guard import Guard
from tests.agent.dns.conftest import Lines

ROOT = Path(package.__file__).parents[3]
OURS = {
    "acme-dns",
    "cloudflare",
    "desec",
    "digitalocean",
    "hetzner",
    "manual",
    "rfc2136",
    "route53",
    "webhook",
}


def test_every_file_offers_its_provider() -> None:
    offers = providers()
    assert {info.id for info in offers if not info.id.startswith("lexicon-")} == OURS
    assert [info.label.lower() for info in offers] == sorted(info.label.lower() for info in offers)
    for info in offers:
        assert all(field.label for field in info.fields)
        assert len(info.help) > 30


def test_a_new_provider_is_one_file(tmp_path: Path) -> None:
    (tmp_path / "brandnew.py").write_text(
        "from agent.dns.provider import Provider\n"
        "from agent.dns.spec import DnsProviderInfo\n"
        "class BrandNew(Provider):\n"
        "    info = DnsProviderInfo('brandnew', 'Brand new', 'Nothing is needed for this one.', ())\n"
        "    def _add(self, zone, record): ...\n"
        "    def _remove(self, zone, record): ...\n"
    )
    code = (
        f"import agent.dns.providers as package; package.__path__.append({str(tmp_path)!r});"
        "from agent.dns.registry import providers; print([i.label for i in providers() if i.id == 'brandnew'])"
    )
    assert _python(code) == "['Brand new']"


def test_looking_imports_nothing_heavy() -> None:
    code = (
        "import sys; from agent.dns.registry import providers; import agent.dns.check; providers();"
        "print(sorted({'requests', 'dns', 'urllib3', 'lexicon', 'boto3'} & {n.split('.')[0] for n in sys.modules}))"
    )
    assert _python(code) == "[]"


def test_without_lexicon_the_others_are_offered() -> None:
    code = (
        "import importlib.util; find = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *a: None if name == 'lexicon' else find(name, *a);"
        "from agent.dns.registry import providers; print(len(providers()))"
    )
    assert _python(code) == str(len(OURS))


@pytest.mark.parametrize("value", ["tok\nen", "tok\r\nX: y", "tok\x00en", "tok\x1b[31men", "tok\u2028en", "t" * 20_000])
def test_values_that_could_do_harm_are_refused_and_not_repeated(lines: Lines, guard: Guard, value: str) -> None:
    credential = DnsCredential("1", "Mine", "cloudflare", {"token": value})
    with pytest.raises(DnsFailure, match="“Mine” cannot be used: API token") as caught:
        open_provider(credential, lines.output, guard)
    assert value[:5] not in f"{caught.value.message}{caught.value.detail}{caught.value.next_step}"


@pytest.mark.parametrize("provider_id", sorted(OURS))
def test_no_repr_shows_a_secret(lines: Lines, guard: Guard, provider_id: str) -> None:
    (offer,) = [info for info in providers() if info.id == provider_id]
    secret = "YS1zZWNyZXQtb2YtbWluZQ=="
    fields = {field.name: secret if field.secret else "https://127.0.0.1" for field in offer.fields}
    if provider_id == "rfc2136":
        fields |= {"server": "127.0.0.1", "key_name": "key", "algorithm": "", "zone": ""}
    credential = DnsCredential("1", "Mine", provider_id, fields)
    provider = open_provider(credential, lines.output, guard)
    assert secret not in f"{provider!r} {provider.job!r} {credential!r}"


def _python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
