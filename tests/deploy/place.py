"""Programs as real processes, in one folder that goes when the run ends. Knows no program."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 90
# Below the range from which the system takes ports for outgoing connections.
PORTS = range(14_000, 19_000, 4)


class Failed(Exception):
    """What went wrong, in words for whoever runs the test."""


class Place:
    def __init__(self, programs: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="framefair-deploy-"))
        self.programs = programs.resolve()
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._ending: dict[str, subprocess.Popen[bytes]] = {}
        self._runs = 0
        # Called while waiting; it fails on what no waiting will mend.
        self.alarm: Callable[[], None] = lambda: None

    def path(self, name: str) -> Path:
        return self.folder / name

    def log(self, name: str) -> str:
        path = self.path(f"{name}.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, name: str, line: list[str], env: dict[str, str] | None = None) -> None:
        """Starts a program; its output goes to NAME.log."""
        with self.path(f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self._environment(env),
                start_new_session=True,
            )
        self._running.append((name, process))

    def run(self, line: list[str], env: dict[str, str] | None = None) -> str:
        """Runs a program to its end and gives what it printed."""
        self._runs += 1
        name = f"{Path(line[0]).name}-{self._runs}"
        self.begin(name, line, env)
        return self.finish(name)

    def begin(self, name: str, line: list[str], env: dict[str, str] | None = None) -> None:
        """Starts a program that is to end by itself."""
        with self.path(f"{name}.out").open("wb") as out, self.path(f"{name}.log").open("wb") as log:
            self._ending[name] = subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                cwd=self.folder,
                env=self._environment(env),
                start_new_session=True,
            )

    def finish(self, name: str, status: int | None = 0) -> str:
        """Waits for the end of a program that was begun, and gives what it printed; with no `status`
        it may end with any."""
        process = self._ending.pop(name)
        ended = self.until(f"{name} ends", process.poll, 2 * PATIENCE_S)
        out = self.path(f"{name}.out").read_text(errors="replace")
        if status is not None and ended != status:
            raise Failed(f"{name} ended with {ended}, not {status}:\n{out}\n{self.log(name)}")
        return out

    def program(self, name: str) -> str:
        path = self.programs / name
        if not path.is_file():
            raise Failed(f"{path} is missing; run this through `make deploy-test`, which builds it")
        return str(path)

    def _environment(self, more: dict[str, str] | None) -> dict[str, str]:
        """Nothing of the caller's own but the way to programs."""
        base = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.folder)}
        return base | (more or {})

    def until(self, what: str, found: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
        """Looks until something is found, and says which program has ended meanwhile."""
        last = time.monotonic() + patience_s
        while time.monotonic() < last:
            if (it := found()) is not None:
                return it
            self.alarm()
            for name, process in [*self._running, *self._ending.items()]:
                if process.poll() not in ((None,) if name not in self._ending else (None, 0)):
                    said = self.log(name)[-3000:]
                    raise Failed(f"{name} ended with {process.returncode} before {what}:\n{said}")
            time.sleep(0.1)
        raise Failed(f"waited {patience_s:.0f} s in vain until {what}")

    def says(self, name: str, words: str) -> None:
        self.until(f"{name} says {words!r}", lambda: True if words in self.log(name) else None)

    def stop(self, name: str) -> int:
        """Ends a program as a service manager does, and gives its exit status."""
        process = next(process for known, process in self._running if known == name)
        self._running = [(known, it) for known, it in self._running if known != name]
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Failed(f"{name} did not end within 30 s of SIGTERM") from None
        finally:
            _end_group(process)

    def close(self) -> None:
        for name, _ in reversed(list(self._running)):
            with contextlib.suppress(Failed):
                self.stop(name)
        for process in self._ending.values():
            _end_group(process)
        shutil.rmtree(self.folder, ignore_errors=True)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """What the program itself started, such as the functions of the emulator, goes with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def free_ports() -> Iterator[int]:
    """Ports that nobody has, each with a free one after it, in an order that differs between runs."""
    start = os.getpid() % len(PORTS)
    for port in [*PORTS[start:], *PORTS[:start]]:
        if _is_free(port) and _is_free(port + 1):
            yield port
    raise Failed("no port is free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
