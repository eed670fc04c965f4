"""Private MariaDB and MySQL servers: a temporary folder, a free port of 127.0.0.1, no service."""

import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import pymysql
from pymysql.constants import CLIENT, ER
from sqlalchemy import URL

from tests.support import CHECKOUT, ENDS_WITH_US
from tests.support.patience import patience, wait_until

Flavour = Literal["mariadb", "mysql"]

HOST = "127.0.0.1"
START_SECONDS = 60.0
STOP_SECONDS = 30.0

SCHEMA = Path(__file__).with_name("ledger_schema.sql")
MYSQL_HOME = Path(os.environ.get("TEST_MYSQL_HOME", CHECKOUT / ".cache" / "mysql"))
MONITORS_HOME = Path(os.environ.get("TEST_MONITORS_HOME", MYSQL_HOME.with_name("monitors")))
"""Where Prometheus 3, Alertmanager 0.3x and VictoriaMetrics are, beside the machine's own ones."""

# For both flavours, while they create their data folder and while they serve. Nothing here has to
# survive a power cut, so nothing waits for a disk; a killed server still recovers.
_STORAGE = (
    "--innodb-flush-method=nosync",
    "--innodb-use-native-aio=OFF",
    "--innodb-doublewrite=OFF",
)
_SERVING = (
    *_STORAGE,
    f"--bind-address={HOST}",
    # Relative to the data folder: the path of a socket ends at 107 characters.
    "--socket=s.sock",
    "--pid-file=pid",
    "--skip-log-bin",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_unicode_ci",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-buffer-pool-size=64M",
    "--innodb-read-io-threads=1",
    "--innodb-write-io-threads=2",
    "--innodb-purge-threads=1",
    "--max-connections=100",
)
# The X protocol would want a port of its own, and the packaged folder for files does not exist.
_MYSQL_ONLY = ("--mysqlx=OFF", "--secure-file-priv=")
_LOG_SIZE: dict[Flavour, str] = {
    "mariadb": "--innodb-log-file-size=16M",
    "mysql": "--innodb-redo-log-capacity=16M",
}
# Makes root reachable through 127.0.0.1, which is another account than root@localhost.
_MYSQL_ROOT = """\
CREATE USER root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;
"""


class ServerError(Exception):
    """A server did not do as told in time; the message ends with the tail of its log."""


def missing(flavour: Flavour) -> str | None:
    """Why no server of this flavour can be started here, or None when one can."""
    if flavour == "mariadb":
        found = _which("mariadbd") and _which("mariadb-install-db")
        return None if found else "mariadbd is not installed: run scripts/install-servers"
    return _not_unpacked(MYSQL_HOME, "mysqld")


def missing_monitors() -> str | None:
    """Why the newer Prometheus, Alertmanager and vmalert cannot be run here; None when they can."""
    return _not_unpacked(MONITORS_HOME, "prometheus")


def _not_unpacked(home: Path, program: str) -> str | None:
    if (home / program).exists():
        return None
    reason = home.with_name(f"{home.name}.unavailable")
    return reason.read_text().strip() if reason.exists() else "run scripts/install-servers"


@dataclass(eq=False, kw_only=True)
class Program(ABC):
    """A server that runs as a process of the tests' own; how one starts is its own matter."""

    folder: Path
    """Holds its data and its `log`; it has that to itself."""
    port: int = 0
    """Chosen at the first start and kept by a restart."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id; raises ServerError when it is not running."""
        if self.process is None:
            raise ServerError(f"{type(self).__name__} is not running")
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything that it has said."""
        return (self.folder / "log").read_text(errors="replace")

    @abstractmethod
    def start(self) -> Self:
        """Start it and return it once it answers; raises ServerError with the tail of its log."""

    def stop(self) -> None:
        """End it in order, by force after a while; does nothing when it is not running."""
        if self.process is None:
            return
        self.resume()  # a stopped process would not see the request
        self.process.terminate()
        try:
            self.process.wait(patience(STOP_SECONDS))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self) -> None:
        """End it at once, as a crash would; does nothing when it is not running."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Stop it if it runs, and start it again on the same port with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers. Returns once it is so."""
        os.kill(self.pid, signal.SIGSTOP)
        wait_until(lambda: _thread_states(self.pid) == {"T"}, STOP_SECONDS, "it is frozen")

    def resume(self) -> None:
        """Let it go on; does nothing to one that runs."""
        os.kill(self.pid, signal.SIGCONT)


@dataclass(eq=False, kw_only=True)
class Server(Program):
    """One database server of our own; root has no password and may do everything."""

    flavour: Flavour
    options: Sequence[str] = ()
    """Further command-line options, after ours, so that they win."""
    host: str = HOST

    @property
    def statements(self) -> Path:
        """Its log of all that was sent to it, if the farm asked for one."""
        return self.folder / "statements"

    def url(self, database: str | None = None, *, user: str = "root", password: str = "") -> URL:
        """The SQLAlchemy URL of one database; mind that `str()` of it masks the password."""
        return URL.create(
            "mysql+pymysql",
            username=user,
            password=password or None,
            host=self.host,
            port=self.port,
            database=database,
            query={"charset": "utf8mb4"},
        )

    def admin(self, database: str | None = None) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A new autocommitting connection as root; the caller closes it.

        Gives up after a while without a greeting or an answer.
        """
        return self._connect(database, read_timeout=patience(60))

    def create_database(self) -> str:
        """Create an empty database and return its name, which no other call returns."""
        name = f"test_{secrets.token_hex(6)}"
        self._execute(f"CREATE DATABASE {name}")
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database with all in it, even when a connection still holds locks there."""
        with closing(self.admin()) as connection, connection.cursor() as cursor:
            # SHOW PROCESSLIST may cut a statement in the midst of a character.
            cursor.execute("SELECT id, db FROM information_schema.processlist")
            for thread in [row[0] for row in cursor.fetchall() if row[1] == name]:
                kill_thread(cursor, thread)
            cursor.execute(f"DROP DATABASE IF EXISTS {name}")

    def start(self) -> Self:
        """Start the server and return it once it answers; raises ServerError after a while."""
        attempts = 1 if self.port else 3  # somebody may take a free port before the server does
        for attempt in range(attempts, 0, -1):
            port = self.port or _free_port()
            self._spawn(port)
            try:
                self._wait_for_answer(port)
            except ServerError:
                self.kill()
                if attempt == 1 or "already in use" not in self.log:
                    raise
            else:
                self.port = port
                break
        return self

    def _connect(
        self, database: str | None, *, read_timeout: float, port: int | None = None
    ) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(
            host=self.host,
            port=port or self.port,
            user="root",
            database=database,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=min(read_timeout, patience(10)),
            read_timeout=read_timeout,
            client_flag=CLIENT.MULTI_STATEMENTS,
            ssl_disabled=True,  # else each connection reads the machine's certificates: 30 ms
        )

    def _execute(self, statement: str) -> None:
        with closing(self.admin()) as connection, connection.cursor() as cursor:
            cursor.execute(statement)

    def _spawn(self, port: int) -> None:
        temporary = self.folder / "tmp"
        temporary.mkdir(exist_ok=True)
        command = [
            *ENDS_WITH_US,
            *_program(self.flavour),
            *_SERVING,
            _LOG_SIZE[self.flavour],
            f"--datadir={self.folder / 'data'}",
            f"--tmpdir={temporary}",
            f"--port={port}",
            *(_MYSQL_ONLY if self.flavour == "mysql" else ()),
            *self.options,
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests; they end the servers
            )

    def _wait_for_answer(self, port: int) -> None:
        try:
            wait_until(lambda: self._answers(port), START_SECONDS, "server answers")
        except TimeoutError as error:
            raise self._error(str(error)) from error

    def _answers(self, port: int) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise self._error(f"it exited with {self.process.returncode}")
        try:
            with closing(self._connect(None, read_timeout=patience(5), port=port)) as connection:
                cursor = connection.cursor()
                cursor.execute("SELECT @@datadir")
                row = cursor.fetchone()
        except pymysql.OperationalError:
            return False
        # Another server may have taken the port while ours is about to say so and exit.
        return row is not None and Path(row[0]) == self.folder / "data"

    def _error(self, what: str) -> ServerError:
        tail = "\n".join(self.log.splitlines()[-15:])
        return ServerError(f"{self.flavour}: {what}\n{tail}")


@dataclass(frozen=True, kw_only=True)
class Database:
    """One database of one test."""

    server: Server
    name: str

    @property
    def url(self) -> URL:
        """The SQLAlchemy URL as root."""
        return self.server.url(self.name)

    def connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        """A new autocommitting connection as root, inside this database; the caller closes it."""
        return self.server.admin(self.name)


@dataclass(kw_only=True)
class Farm:
    """Starts servers and ends them all; initialises a data folder once per flavour, then copies."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="reconciler-")))
    templates: Path | None = None
    """Where data folders are initialised, for all farms that have the same; its own otherwise."""
    servers: list[Server] = field(default_factory=list)
    """Those not discarded, whether they run or not."""
    take_statements: Callable[[Path], None] | None = None
    """What is to read each server's log of statements before it is removed; there is one for it."""

    def start(self, flavour: Flavour, *options: str) -> Server:
        """Start one more server, empty, with `options` after ours; raises ServerError."""
        folder = self.folder / f"{flavour}-{secrets.token_hex(4)}"
        shutil.copytree(self._template(flavour, options), folder / "data")
        server = Server(flavour=flavour, folder=folder, options=options)
        if self.take_statements:
            logging = ("--general-log=1", f"--general-log-file={server.statements}")
            server.options = (*logging, *options)
        self.servers.append(server)
        return server.start()

    def discard(self, server: Server) -> None:
        """End one server and remove its files, so that many of them do not fill the disk."""
        self._end(server)
        self.servers.remove(server)

    def close(self) -> None:
        """End every server and remove every file."""
        for server in self.servers:
            self._end(server)
        shutil.rmtree(self.folder)

    def _template(self, flavour: Flavour, options: Sequence[str]) -> Path:
        name, *values = [flavour, *filter(None, map(_of_the_data, options))]
        template = (self.templates or self.folder) / "-".join([name, *values])
        with template.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed; one process initialises
            if not template.exists():
                _initialise(flavour, template, [each for each in options if _of_the_data(each)])
        return template

    def _end(self, server: Server) -> None:
        server.kill()  # nobody will read the data again
        if self.take_statements:
            self.take_statements(server.statements)
        shutil.rmtree(server.folder)


def load_schema(server: Server, database: str) -> None:
    """Create the application's tables, empty, in `database`."""
    with closing(server.admin(database)) as connection, connection.cursor() as cursor:
        cursor.execute(SCHEMA.read_text())
        while cursor.nextset():  # raises the error of a later statement
            pass


def _of_the_data(option: str) -> str | None:
    """What an option says with which a data folder has to be initialised, too."""
    name, _, value = option.partition("=")
    return f"names{value}" if name == "--lower-case-table-names" else None


def _initialise(flavour: Flavour, folder: Path, options: Sequence[str]) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    script = folder.with_name(f"{folder.name}.sql")
    script.write_text(_MYSQL_ROOT)
    common = (f"--datadir={partial}", *_STORAGE, _LOG_SIZE[flavour], *options)
    if flavour == "mysql":
        command = [*_program("mysql"), *common, "--initialize-insecure", f"--init-file={script}"]
    else:
        command = [
            *(_which("mariadb-install-db"), "--no-defaults", *_user(), *common),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ]
    temporary = folder.with_name(f"{folder.name}.tmp")
    temporary.mkdir(exist_ok=True)  # as it starts, MariaDB removes the tables of others in there
    environment = {**os.environ, "TMPDIR": str(temporary)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        message = f"{flavour}: no data folder\n{(done.stdout + done.stderr)[-2000:]}"
        raise ServerError(message)
    partial.rename(folder)


def _program(flavour: Flavour) -> list[str]:
    if flavour == "mysql":
        return [str(MYSQL_HOME / "mysqld"), *_user()]  # names its own folders
    return [_which("mariadbd"), "--no-defaults", *_user()]


def _user() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _which(program: str) -> str:
    # A plain user's PATH often lacks the folders of servers.
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return shutil.which(program, path=path) or ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def kill_thread(cursor: pymysql.cursors.Cursor, thread: int) -> None:
    """End a connection that may have ended by itself meanwhile."""
    try:
        cursor.execute(f"KILL {thread}")
    except pymysql.MySQLError as error:
        if error.args[0] != ER.NO_SUCH_THREAD:  # it has gone by itself
            raise


def _thread_states(pid: int) -> set[str]:
    # The state is the first field after the name, which stands in brackets and may hold anything.
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {(task / "stat").read_text().rpartition(")")[2].split()[0] for task in tasks}
