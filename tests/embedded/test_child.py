"""A supervised process: logs, warnings, restarts and ends.
May import: panel.embedded and the standard library."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from panel.embedded.child import Child, StartError
from panel.embedded.terminal import Terminal


def child(tmp_path: Path, program: str) -> Child:
    command = [sys.executable, "-u", "-c", program]
    return Child("sample", command, dict(os.environ), tmp_path / "sample.log", Terminal())


async def until_log_has(log: Path, text: str, times: int = 1) -> None:
    async with asyncio.timeout(20):
        while not log.exists() or log.read_text().count(text) < times:
            await asyncio.sleep(0.02)


async def run_until(sample: Child, text: str) -> None:
    await sample.start()
    await until_log_has(sample.log_file, text)
    await sample.stop()


def test_every_line_is_logged_and_only_warnings_reach_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = "import time; print('INFO all is well'); print('WARNING the disk is nearly full'); time.sleep(600)"
    asyncio.run(run_until(child(tmp_path, program), "disk"))
    shown = capsys.readouterr().out
    assert (tmp_path / "sample.log").read_text() == "INFO all is well\nWARNING the disk is nearly full\n"
    assert "nearly full" in shown
    assert "all is well" not in shown


def test_a_traceback_reaches_the_terminal_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(run_until(child(tmp_path, "raise RuntimeError('the reason')"), "the reason"))
    shown = capsys.readouterr().out
    assert "Traceback (most recent call last)" in shown
    assert "RuntimeError: the reason" in shown


def test_a_step_that_fails_raises_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(StartError, match=r"exit code 3(.|\n)*no such table"):
        asyncio.run(child(tmp_path, "print('no such table'); raise SystemExit(3)").run_once())


def test_a_child_that_dies_is_started_again_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        sample = child(tmp_path, "import os, time; print('begin', os.getpid()); time.sleep(600)")
        await sample.start()
        await until_log_has(sample.log_file, "begin")
        assert sample.process is not None
        os.kill(sample.process.pid, signal.SIGKILL)
        await until_log_has(sample.log_file, "begin", times=2)
        await sample.stop()
        assert sample.has_ended

    asyncio.run(scenario())
    shown = capsys.readouterr().out
    assert "ended (by SIGKILL)" in shown
    assert "started again" in shown


def test_a_child_that_dies_is_noticed_while_its_own_children_live_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = (
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('begin', flush=True)\n"
        "time.sleep(600)\n"
    )

    async def scenario() -> None:
        sample = child(tmp_path, program)
        await sample.start()
        await until_log_has(sample.log_file, "begin")
        assert sample.process is not None
        os.kill(sample.process.pid, signal.SIGKILL)
        await until_log_has(sample.log_file, "begin", times=2)
        await sample.stop()

    asyncio.run(scenario())
    assert "started again" in capsys.readouterr().out


def test_stop_leaves_nothing_of_the_group_even_when_it_does_not_listen(tmp_path: Path) -> None:
    program = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('grandchild', subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']).pid)\n"
        "time.sleep(600)\n"
    )

    async def scenario() -> int:
        stubborn = child(tmp_path, program)
        stubborn.stop_signals = ((signal.SIGTERM, 0.3),)
        await stubborn.start()
        await until_log_has(stubborn.log_file, "grandchild")
        await stubborn.stop()
        return int(stubborn.log_file.read_text().split()[1])

    pid = asyncio.run(scenario())
    if psutil.pid_exists(pid):
        psutil.wait_procs([psutil.Process(pid)], timeout=5)
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
