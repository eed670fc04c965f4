"""The built image and containers of it, for tests: podman as `scripts/build-image` runs it."""

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx

from tests.support import CHECKOUT
from tests.support.patience import patience, wait_until
from tests.support.servers import _free_port

IMAGE = os.environ.get("IMAGE_TAG", "localhost/reconciler:test")
STATE = "/var/lib/reconciler"
USER = 10001
MEMORY = 256 << 20
LOCKED_DOWN = (
    "--read-only",
    "--read-only-tmpfs=false",  # not even /tmp can be written
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    f"--memory={MEMORY}",
)
# Without a system service nobody asks for health, so the tests do. As in a cluster, the user has no
# name in /etc/passwd.
_HERE = ("--network=host", "--pull=never", "--no-healthcheck", "--passwd=false")


def engine(
    *arguments: str, check: bool = True, seconds: float = 120
) -> "subprocess.CompletedProcess[str]":
    """`podman` with these arguments, on the store of the built image."""
    done = subprocess.run(
        [CHECKOUT / "scripts" / "build-image", "podman", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=patience(seconds),
    )
    assert done.returncode == 0 or not check, f"podman {arguments}: {done.stderr}"
    return done


def inspect(name: str) -> dict[str, Any]:
    """What the engine knows of an image or a container."""
    found: list[dict[str, Any]] = json.loads(engine("inspect", name).stdout)
    return found[0]


def health_command() -> list[str]:
    """The program and arguments of the image's health check, which no shell runs."""
    test: list[str] = inspect(IMAGE)["Healthcheck"]["Test"]
    kind, *command = test
    assert kind == "CMD"
    return command


def once(*command: str, options: tuple[str, ...] = ()) -> "subprocess.CompletedProcess[str]":
    """A container that runs to its end and is gone, locked down; whatever its exit code."""
    return engine("run", "--rm", *_HERE, *LOCKED_DOWN, *options, IMAGE, *command, check=False)


class Container:
    """A container of the image that runs the worker; unless told otherwise, locked down."""

    def __init__(self, folder: Path, *options: str, locked: tuple[str, ...] = LOCKED_DOWN) -> None:
        self.port = _free_port()
        port = f"--env=RECONCILER_HTTP__PORT={self.port}"
        mount = f"--volume={folder}:{STATE}"
        started = engine("run", "--detach", *_HERE, *locked, port, mount, *options, IMAGE)
        self.id = started.stdout.strip()

    def get(self, path: str) -> httpx.Response:
        """What it answers."""
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=patience(5))

    def answers(self, path: str) -> bool:
        """Whether it answers 200; asserts that it runs at all."""
        assert inspect(self.id)["State"]["Status"] == "running", engine("logs", self.id).stderr
        try:
            return self.get(path).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    def wait_until_alive(self) -> None:
        """Wait until it serves."""
        wait_until(lambda: self.answers("/livez"), 60, "the container serves")

    def wait_until_ready(self) -> None:
        """Wait until every check has run."""
        wait_until(lambda: self.answers("/readyz"), 90, "the container is ready")

    def python(self, code: str) -> str:
        """What this Python code prints inside."""
        return engine("exec", self.id, "python", "-c", code).stdout

    def healthy(self) -> "subprocess.CompletedProcess[str]":
        """The image's health check, run inside."""
        return engine("exec", self.id, *health_command(), check=False)

    def end(self) -> tuple[int, float]:
        """Send SIGTERM to process 1; the exit code and the seconds that it took."""
        start = time.monotonic()
        engine("kill", "--signal=TERM", self.id)
        code = engine("wait", self.id, seconds=30).stdout.strip()
        return int(code), time.monotonic() - start

    def remove(self) -> None:
        """End and forget it, whatever its state."""
        engine("rm", "--force", "--time=0", self.id)
