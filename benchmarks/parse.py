"""What nginx pays for our host files: `nginx -t`, and the master's memory, against minimal files of the same hosts.
May import: agent.nginx, panel.nginx, psutil. Run: python -m benchmarks.parse [hosts]"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from agent.nginx import wrapper
from agent.nginx.layout import Layout
from panel.models import ProxyHost
from panel.nginx import render
from panel.nginx.render import CertificateFiles, NginxFacts
from tests.product import free_ports

ROUNDS = 15


@dataclass(frozen=True)
class Place:
    """Where a configuration is written, its ports, and one certificate for each host when it has TLS."""

    folder: Path
    facts: NginxFacts
    status_port: int
    tls: bool

    def certificate(self, number: int) -> CertificateFiles | None:
        """A pair of its own, as hosts have it."""
        live = self.folder.parent / "live" / f"host-{number}.example.test"
        return CertificateFiles(f"{live}/fullchain.pem", f"{live}/privkey.pem") if self.tls else None


def main(count: int) -> None:
    """One row each for plain hosts and hosts with TLS."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        make_certificates(folder / "live", count)
        print(f"{count} hosts; the least processor time of {ROUNDS} in turns; memory: the master's own data\n")
        print(f"{'':<6} {'nginx -t':>21} {'ratio':>6} {'master':>22} {'ratio':>6} {'per host':>22}")
        for tls in (False, True):
            compare(folder, count, tls=tls)


def compare(folder: Path, count: int, *, tls: bool) -> None:
    """Both kinds of files in one wrapper, in turns, so that both meet the same machine."""
    confs = {
        kind: write(Place(folder / f"{kind}{'-tls' * tls}", *addresses(), tls=tls), count, files)
        for kind, files in {"ours": our_files, "minimal": minimal_files}.items()
    }
    tests: dict[str, list[float]] = {kind: [] for kind in confs}
    for _ in range(ROUNDS):
        for kind, conf in confs.items():
            tests[kind].append(time_test(conf))
    seconds = {kind: min(values) for kind, values in tests.items()}
    memory = {kind: master_memory(conf) for kind, conf in confs.items()}
    empty = master_memory(write(Place(folder / f"empty{'-tls' * tls}", *addresses(), tls=False), 0, our_files))
    each = {kind: (size - empty) / count / 1024 for kind, size in memory.items()}
    print(
        f"{'TLS' if tls else 'plain':<6} {pair(seconds, 1000, 0)} ms {ratio(seconds):>6.2f} "
        f"{pair(memory, 2**-20, 1)} MiB {ratio(memory):>6.2f} {pair(each, 1, 1)} KiB   (aim: at most 1.5)",
        flush=True,
    )


def pair(values: dict[str, float], factor: float, digits: int) -> str:
    """Ours and theirs."""
    return f"{factor * values['ours']:>8.{digits}f} / {factor * values['minimal']:>7.{digits}f}"


def ratio(values: dict[str, float]) -> float:
    """Ours by theirs."""
    return values["ours"] / values["minimal"]


def addresses() -> tuple[NginxFacts, int]:
    """Free ports, and the facts of the nginx on this machine."""
    http_port, https_port, status_port = free_ports(3)
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, check=True).stderr
    version = said.partition("nginx/")[2].split()[0]
    return NginxFacts(version, http_port, https_port, ipv6=False), status_port


def write(place: Place, count: int, files: Callable[[Place, int], Iterator[tuple[str, str]]]) -> Path:
    """A configuration in the agent's own wrapper; the path of its nginx.conf."""
    layout = Layout(place.folder)
    layout.make_folders()
    paths = []
    for path, text in files(place, count):
        target = place.folder / path
        target.parent.mkdir(exist_ok=True)
        target.write_text(text)
        paths.append(target)
    machine = wrapper.Machine("root", ("127.0.0.1",), place.facts.ipv6, place.status_port, place.facts.http_port)
    conf = place.folder / "nginx.conf"
    conf.write_text(wrapper.render(layout, machine, "0" * 64, paths))
    return conf


def our_files(place: Place, count: int) -> Iterator[tuple[str, str]]:
    """As the panel writes them."""
    pairs = {number: pair for number in range(1, count + 1) if (pair := place.certificate(number))}
    bundle = render.render_bundle([host(number) for number in range(1, count + 1)], place.facts, pairs)
    for file in sorted(bundle.files, key=lambda file: (file.path.startswith("hosts/"), file.path != render.HTTP_PATH)):
        yield file.path, file.text


def minimal_files(place: Place, count: int) -> Iterator[tuple[str, str]]:
    """The least that serves the same names: a name, an upstream, a certificate."""
    yield "http.conf", "server_names_hash_max_size 8192;\nserver_names_hash_bucket_size 512;\n"
    for number in range(1, count + 1):
        pair = place.certificate(number)
        listen = f"    listen {place.facts.http_port};\n"
        if pair:
            listen += f"    listen {place.facts.https_port} ssl;\n"
            listen += f"    ssl_certificate {pair.chain};\n    ssl_certificate_key {pair.key};\n"
        text = f"server {{\n{listen}    server_name host-{number}.example.test;\n"
        yield (
            f"hosts/{number}.conf",
            f"{text}    location / {{\n        proxy_pass http://{upstream(number)}:3000;\n    }}\n}}\n",
        )


def host(number: int) -> ProxyHost:
    """One host; with a certificate it is as a click on "Request SSL" makes it."""
    return ProxyHost(
        id=number,
        domain_names=[f"host-{number}.example.test"],
        forward_scheme="http",
        forward_host=upstream(number),
        forward_port=3000,
        websocket=False,
        force_ssl=True,
        http2=True,
    )


def upstream(number: int) -> str:
    """An address of its own for each host, as on a real network."""
    return f"10.0.{number // 250}.{number % 250 + 1}"


def make_certificates(live: Path, count: int) -> None:
    """One self-signed pair, as a lineage of its own for each host, as certbot lays them out: nginx reads each."""
    live.mkdir()
    with tempfile.TemporaryDirectory() as name:
        key, certificate = Path(name) / "key", Path(name) / "certificate"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        paths = ["-keyout", str(key), "-out", str(certificate)]
        subprocess.run([*command, *paths, "-subj", "/CN=example.test"], check=True, capture_output=True)
        texts = {"cert": certificate.read_text(), "chain": "", "fullchain": certificate.read_text()}
        for number in range(1, count + 1):
            make_lineage(live, f"host-{number}.example.test", {**texts, "privkey": key.read_text()})


def make_lineage(live: Path, name: str, texts: dict[str, str]) -> None:
    """The first version in archive/, and links to it."""
    archive = live.parent / "archive" / name
    archive.mkdir(parents=True)
    (live / name).mkdir()
    for kind, text in texts.items():
        (archive / f"{kind}1.pem").write_text(text)
        (live / name / f"{kind}.pem").symlink_to(f"../../archive/{name}/{kind}1.pem")


def time_test(conf: Path) -> float:
    """Seconds of processor time of one `nginx -t`: what it waits for on a shared machine is not its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["nginx", "-t", "-q", "-c", str(conf)], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def master_memory(conf: Path) -> float:
    """Bytes of the master's own data; what it shares with its workers counts, libraries and shared zones do not."""
    with started(conf) as master:
        rows = Path(f"/proc/{master.pid}/smaps_rollup").read_text().splitlines()
        return 1024.0 * next(int(row.split()[1]) for row in rows if row.startswith("Anonymous:"))


@contextmanager
def started(conf: Path) -> Iterator[psutil.Process]:
    """An nginx that runs inside the block."""
    process = subprocess.Popen(["nginx", "-c", str(conf), "-g", "daemon off;"], stderr=subprocess.DEVNULL)
    try:
        master = psutil.Process(process.pid)
        deadline = time.monotonic() + 60
        while not any("worker process" in " ".join(child.cmdline()) for child in master.children()):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx did not start with {conf}")
            time.sleep(0.05)
        yield master
    finally:
        process.terminate()
        process.wait(20)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
