"""Private web servers that write access logs: nginx, Node.js, and Python's uvicorn.

Each has a folder of its own and a free port of 127.0.0.1, ends with the test, and gives the same
answers: 200 to /health, 201 below /api/v4/orders/, 409 to /api/v4/exchange with a reason, else 404.
"""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import CHECKOUT
from tests.support.patience import patience, wait_until
from tests.support.servers import HOST, ServerError, _free_port, _which

REASON = "IDEMPOTENCY_KEY_CONFLICT"

_NGINX = """\
daemon off;
{user}
pid {folder}/pid;
error_log stderr;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    large_client_header_buffers 4 32k;
    log_format json escape=json '{{"msec":"$msec","request_method":"$request_method",'
        '"request_uri":"$request_uri","status":"$status",'
        '"sent_http_x_error_code":"$sent_http_x_error_code",'
        '"http_idempotency_key":"$http_idempotency_key","remote_addr":"$remote_addr"}}';
    log_format unescaped '{{"msec":"$msec","request_method":"$request_method",'
        '"request_uri":"$request_uri","status":"$status",'
        '"sent_http_x_error_code":"$sent_http_x_error_code",'
        '"http_idempotency_key":"$http_idempotency_key","remote_addr":"$remote_addr"}}';
    access_log {folder}/access.log json;
    access_log {folder}/unescaped.log unescaped;
    access_log {folder}/combined.log combined;
    server {{
        listen {host}:{port};
        location = /health {{ return 200 "ok"; }}
        location /api/v4/orders/ {{ return 201 "ok"; }}
        location = /api/v4/exchange {{
            add_header X-Error-Code {reason} always;
            return 409 "conflict";
        }}
        location / {{ return 404 "none"; }}
    }}
}}
"""

_NODE = """\
const fs = require("fs"), http = require("http");
const [port, log, reason] = process.argv.slice(2);
let out = fs.openSync(log, "a");
process.on("SIGUSR2", () => { fs.closeSync(out); out = fs.openSync(log, "a"); });
const tell = (req, res) => fs.writeSync(out, JSON.stringify({
  level: 30, time: Date.now(), pid: process.pid,
  req: {id: 1, method: req.method, url: req.url, headers: req.headers,
        remoteAddress: req.socket.remoteAddress},
  res: {statusCode: res.statusCode, code: res.code},
  responseTime: 1, msg: "request completed",
}) + "\\n");
http.createServer({maxHeaderSize: 32768}, (req, res) => {
  const path = req.url.split("?")[0];
  res.statusCode = path === "/health" ? 200 : path.startsWith("/api/v4/orders/") ? 201
    : path === "/api/v4/exchange" ? 409 : 404;
  if (res.statusCode === 409) res.code = reason;
  tell(req, res);
  res.end("done");
}).listen(Number(port), "127.0.0.1");
"""

_PYTHON = '''\
"""A Starlette application that logs each request through the standard library's logging."""

import json
import logging
import logging.handlers
import sys
from datetime import datetime

import uvicorn
from starlette.responses import PlainTextResponse

port, log, reason = sys.argv[1:]
logger = logging.getLogger("access")
logger.setLevel(logging.INFO)
logger.addHandler(logging.handlers.WatchedFileHandler(log, encoding="utf-8"))


async def answer(scope, receive, send):
    path = scope["path"]
    status = {"/health": 200, "/api/v4/exchange": 409}.get(path, 404)
    if path.startswith("/api/v4/orders/"):
        status = 201
    await PlainTextResponse("done", status)(scope, receive, send)


async def logged(scope, receive, send):
    if scope["type"] != "http":
        return
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}

    async def watch(message):
        if message["type"] == "http.response.start":
            line = {
                "time": datetime.now().astimezone().isoformat(),
                "method": scope["method"],
                "path": scope["raw_path"].decode("latin-1"),
                "status": message["status"],
                "code": reason if message["status"] == 409 else None,
                "idempotency_key": headers.get("idempotency-key", ""),
                "client": scope["client"][0],
            }
            logger.info(json.dumps(line))
        await send(message)

    await answer(scope, receive, watch)


uvicorn.run(logged, host="127.0.0.1", port=int(port), log_level="warning", lifespan="off")
'''


@dataclass(eq=False, kw_only=True)
class WebServer:
    """One running web server."""

    folder: Path
    command: Callable[[int], Sequence[str]]
    """What starts it on a port."""
    reopens_on: signal.Signals | None
    """What makes it open its logs anew; None when it sees by itself that they were renamed."""
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """Its access log."""
        return self.folder / "access.log"

    def start(self) -> None:
        """Start it and wait until it answers; raises ServerError after a while."""
        self.port = _free_port()
        # It must not outlive the tests, however they end; nginx' own processes end by SIGTERM only.
        command = ("setpriv", "--pdeathsig", "TERM", *self.command(self.port))
        with (self.folder / "output").open("ab") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=CHECKOUT
            )
        wait_until(self._listens, 30, f"{command[3]} listens")

    def stop(self) -> None:
        """End it in order, or by force after a while."""
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(patience(10))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def rotate(self, name: str) -> None:
        """Rename its log as logrotate does, and have it write into a new one from then on."""
        assert self.process
        self.log.rename(self.folder / name)
        if self.reopens_on:
            self.process.send_signal(self.reopens_on)
            wait_until(self.log.exists, 10, "a new log")

    def ask(self, request: bytes) -> int:
        """Send these bytes on a connection of their own and return the status of the answer."""
        with socket.create_connection((HOST, self.port), timeout=patience(20)) as connection:
            connection.sendall(request)
            with connection.makefile("rb") as answer:
                first = answer.readline()
                answer.read()
        return int(first.split()[1])

    def _listens(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            output = (self.folder / "output").read_text(errors="replace")[-2000:]
            raise ServerError(f"it exited with {self.process.returncode}\n{output}")
        try:
            socket.create_connection((HOST, self.port), timeout=patience(5)).close()
        except OSError:
            return False
        return True


def nginx(folder: Path) -> WebServer:
    """An nginx that writes `access.log` as JSON and `combined.log` in its own format."""

    def command(port: int) -> Sequence[str]:
        user = "user root;" if os.geteuid() == 0 else ""  # else the folder is not its to write
        values = {"folder": folder, "host": HOST, "port": port, "reason": REASON, "user": user}
        (folder / "nginx.conf").write_text(_NGINX.format(**values))
        arguments = ("-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf"))
        return (_program("nginx"), *arguments)

    return WebServer(folder=folder, command=command, reopens_on=signal.SIGUSR1)


def node(folder: Path) -> WebServer:
    """A Node.js server that logs as pino does."""
    return _script(folder, _program("node"), "server.js", _NODE, signal.SIGUSR2)


def python(folder: Path) -> WebServer:
    """A Starlette application that logs through the standard library."""
    return _script(folder, sys.executable, "server.py", _PYTHON, None)


def _script(
    folder: Path, program: str, name: str, text: str, reopens_on: signal.Signals | None
) -> WebServer:
    script = folder / name
    script.write_text(text)

    def command(port: int) -> Sequence[str]:
        return (program, str(script), str(port), str(folder / "access.log"), REASON)

    return WebServer(folder=folder, command=command, reopens_on=reopens_on)


def _program(name: str) -> str:
    found = _which(name)
    if not found:
        raise ServerError(f"{name} is not installed: run scripts/install-servers")
    return found
