"""What a fresh machine is told: one sentence, one command. Real processes with an environment of their own.
May import: panel.embedded and the standard library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement

from panel.embedded import provision
from panel.embedded.lock import declared

ROOT = Path(provision.__file__).resolve().parents[2]


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True)


def test_a_machine_without_apt_is_told_what_to_install(tmp_path: Path) -> None:
    code = "from panel.embedded.system_packages import *; install(['nginx'], 'to serve hosts')"
    done = python(code, PATH=str(tmp_path))
    assert "Waypost needs nginx to serve hosts" in done.stderr
    assert "own package manager" in done.stderr


def test_an_unknown_purpose_is_answered_with_the_known_ones() -> None:
    done = python("import sys; from panel.embedded.provision import main; sys.exit(main(['fly']))")
    assert done.returncode == 2
    assert "run|test|check|bench" in done.stdout


def test_a_python_that_is_too_old_gets_a_sentence_and_no_traceback() -> None:
    code = (
        "import sys; from panel.embedded import provision; provision.LOWEST_PYTHON = (9, 9)\n"
        "sys.exit(provision.main(['run']))"
    )
    done = python(code)
    assert done.returncode == 2
    assert "Waypost needs Python 3.11 or newer" in done.stdout
    assert "Traceback" not in done.stderr


def test_the_purposes_together_install_all_that_setup_cfg_names() -> None:
    named = {requirement.name for requirement in declared(ROOT / "setup.cfg")}
    lines = {line for purpose in provision.EXTRAS for line in provision._requirements(purpose)}
    installed = {Requirement(line).name for line in lines}
    assert {name.lower() for name in named} == {name.lower() for name in installed}


def test_make_run_installs_no_tool_of_tests_or_checks() -> None:
    names = {line.split("==")[0] for line in provision._requirements("run")}
    assert names.isdisjoint({"pytest", "playwright", "ruff", "mypy", "grpcio-tools"})
