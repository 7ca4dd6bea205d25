"""QEMU is ended whatever happens; a small program stands for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from linuxmm.lab import qemu
from linuxmm.spec.errors import LinuxmmError

MONITOR = """
import json, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen(1)
client, _ = server.accept()
stream = client.makefile("rw")
def say(document):
    stream.write(json.dumps(document) + "\\n")
    stream.flush()
say({"QMP": {}})
for line in stream:
    asked = json.loads(line)["execute"]
    if asked == "quit":
        break
    say({"event": "NOISE"})
    say({"error": {"desc": "no such command"}} if asked == "bogus" else {"return": {"asked": asked}})
"""


def command(folder: Path) -> list[str]:
    (folder / "monitor.py").write_text(MONITOR)
    return [sys.executable, str(folder / "monitor.py"), str(folder / "qmp")]


def test_commands_and_their_errors(tmp_path: Path) -> None:
    with qemu.started(command(tmp_path), tmp_path) as running:
        assert running.command("query-status") == {"asked": "query-status"}
        with pytest.raises(LinuxmmError, match="QEMU: bogus: no such command"):
            running.command("bogus")
        with running.stopped():
            assert running.running
        process = running.process
    assert process.poll() is not None


def test_it_ends_after_an_error(tmp_path: Path) -> None:
    seen = []

    def broken() -> None:
        with qemu.started(command(tmp_path), tmp_path) as running:
            seen.append(running.process)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert seen[0].poll() is not None


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; sys.exit('bad machine')"]
    with pytest.raises(LinuxmmError, match="QEMU did not start: bad machine"), qemu.started(words, tmp_path):
        pass


def test_it_ends_with_a_killed_parent(tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from linuxmm.lab import qemu
folder = Path({str(tmp_path)!r})
with qemu.started({command(tmp_path)!r}, folder) as running:
    (folder / "pid").write_text(str(running.process.pid))
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        pid = tmp_path / "pid"
        for _ in range(500):
            if pid.is_file() and pid.read_text():
                break
            time.sleep(0.02)
        child = int(pid.read_text())
        parent.send_signal(signal.SIGKILL)
    for _ in range(500):
        if not _alive(child):
            break
        time.sleep(0.02)
    assert not _alive(child)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
