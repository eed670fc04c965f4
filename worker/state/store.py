"""Where the state lives, and what happens when that place does not work."""

import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, delete, event
from sqlalchemy.exc import DatabaseError, OperationalError, SQLAlchemyError
from sqlalchemy.pool import NullPool, StaticPool

from checks.contract import Check, Window
from worker.client import mysql
from worker.client.authentication import Connection as Guarded
from worker.client.session_variables import UNCUT
from worker.config import UrlTable
from worker.model.alert import StoredAlert
from worker.model.finding import Counts, Transition
from worker.model.log_event import LogEvent, forgotten, log_events
from worker.model.run import LastRun, Run
from worker.model.steady_clock import STEADY
from worker.state import log_outbox, merge, outbox, private_file, runs, schema
from worker.state.lease import Claim, Lease, LeaseLostError
from worker.state.outbox import Nobody, Policy
from worker.state.schema import NoStateError, Rows, StateError

T = TypeVar("T")

RETRY_AFTER = 5.0
"""Seconds for which a database that failed is not tried again: no run waits for it meanwhile."""

LIMITS = {"connect_timeout": 5, "read_timeout": 10, "write_timeout": 10}
"""Seconds for which a server may be silent: a lease must not hang on one that does not answer."""

LONGEST_IDLE = 30
"""Seconds after which a server ends a transaction in which nothing happens. A process that was
stopped in the midst of one would else keep the lease's row locked, and nobody could take over."""

_MEANING = (
    f"{UNCUT}, sql_safe_updates = 0, sql_auto_is_null = 0, completion_type = 'NO_CHAIN',"
    " sql_mode = 'STRICT_ALL_TABLES'"
)
"""What a server may have set otherwise for all sessions, and what no text is cut under."""

LONGEST_LOCK_WAIT = 5
"""Seconds to wait for a row that another transaction has locked."""


class State:
    """Runs and findings in a database, and a shadow of them in memory for when it does not work.

    Audit and metrics go on without the database: nothing here raises for its sake, except that a
    state of a later version is refused at start (StateError). `failure` says what is wrong.
    """

    def __init__(self, place: URL | UrlTable, lease: Lease | None = None) -> None:
        """With a lease the state is a worker's: it writes only while it holds that.

        Without one nobody else may write it meanwhile.
        """
        self.failure: str | None = None
        """Why the database does not work at present; None while it does."""
        self.set_aside: Path | None = None
        """Where a corrupt state file was moved."""
        self.narrowed: list[str] = []
        """Which files of the state others could read."""
        self.is_known = False
        """Whether what earlier processes left was read; nobody may go on from it before."""
        self._turn = threading.Lock()
        """Held by whoever uses the database: one transaction at a time."""
        self._shadow = threading.Lock()
        """Held by whoever uses the memory, and by nobody who waits for the database."""
        self._url = place if isinstance(place, URL) else place.parsed
        if file := _file_of(self._url):
            self.narrowed = private_file.narrow(file)
        self._engine = _engine(place, lease.seconds if lease else LONGEST_IDLE)
        self._retry_at = 0.0
        self._prepared = False
        self._memory = create_engine(
            "sqlite://",
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},
            hide_parameters=True,
        )
        schema.metadata.create_all(self._memory)
        self._policy: Policy = Nobody()
        self._told: set[str] = set()
        """Ids of events of which lines tell, and the database does not know it yet."""
        self.lease = lease
        self.masking_secret = secrets.token_hex(32)
        """With what personal values are masked; the same over restarts, while it can be kept."""
        try:
            self._bring_together()
        except (SQLAlchemyError, OSError) as error:
            self._fail(error)
        except StateError:
            self.close()
            raise

    @property
    def is_ours(self) -> bool:
        """Whether this process may act on what the state says. Waits for nothing."""
        return self.lease is None or self.lease.is_held

    def keep_lease(self) -> None:
        """Renew the lease, or take it if it is free; what the state then holds is known."""
        with self._turn:
            try:
                self._bring_together()
            except (SQLAlchemyError, OSError, StateError) as error:
                self._fail(error)

    def give_lease_back(self) -> None:
        """Let another worker act at once; this one is ending."""
        with self._turn:
            if self.lease is None or not self.lease.token:
                return
            try:
                with self._engine.begin() as connection:
                    self.lease.give_back(connection)
            except (SQLAlchemyError, OSError) as error:
                self._fail(error)
            self._lose_lease()

    def record(self, run: Run, turn: int = 0) -> tuple[Transition, ...]:
        """Remember a run, its findings and how far it read, all or nothing; tell what changed.

        `turn` is the token of the lease when its window was asked for: raises LeaseLostError when
        it is another one now, as another worker may have acted in between.
        """

        def work(connection: Connection) -> tuple[Transition, ...]:
            transitions = runs.record(connection, run)
            log_outbox.put(connection, log_events(transitions))
            outbox.align(connection, self._policy, run.check, STEADY.seconds())
            return transitions

        return self._write(work, [run.check.name], turn)

    def adopt_policy(self, policy: Policy, checks: Iterable[Check]) -> None:
        """Send alerts to these from now on; what was sent to others is ended or dropped."""
        self._policy = policy
        configured, touched = tuple(checks), set[str]()

        def work(connection: Connection) -> None:
            touched.update(outbox.align_all(connection, policy, configured, STEADY.seconds()))

        self._write(work, touched)  # which is known once that has worked

    def alerts_for(self, alertmanager: str) -> list[StoredAlert]:
        """All that an Alertmanager is to know, what has waited longest first."""
        return self.read(lambda memory: outbox.waiting(memory, alertmanager))

    def pending_alerts(self, alertmanager: str) -> Mapping[str, float]:
        """The alerts that it has not taken yet, and since when each waits (Unix times)."""
        return self.read(lambda memory: outbox.pending(memory, alertmanager))

    def settle_alerts(self, taken: Collection[StoredAlert], over: Collection[StoredAlert]) -> None:
        """Note which alerts were taken, and forget which have been over for long enough."""

        def work(connection: Connection) -> None:
            outbox.take(connection, taken, STEADY.seconds())
            outbox.drop(connection, over)

        if taken or over:
            self._write(work, {each.check for each in (*taken, *over)})

    def window(self, check: Check, fresh: Window) -> Window:
        """`fresh`, with what the runs before left: where to go on, and what they found."""
        return self.read(lambda memory: runs.window(memory, check, fresh))

    def counts(self) -> Counts:
        """How many unresolved findings each check has, by state, the unlisted ones included."""
        return self.read(runs.counts)

    def last_runs(self) -> Mapping[str, LastRun]:
        """The latest run of each check, and when one of each scope was last completed."""
        return self.read(runs.last_runs)

    def forget_checks_except(self, names: Iterable[str]) -> Mapping[str, int]:
        """Resolve the findings of checks that are no longer configured; how many, of each."""
        gone = self.read(lambda memory: runs.checks_except(memory, names))
        if not gone:
            return {}
        now = STEADY.seconds()

        def work(connection: Connection) -> Mapping[str, int]:
            left = runs.forget(connection, gone, now)
            log_outbox.put(connection, [forgotten(left, now)] if left else [])
            return left

        return self._write(work, gone)

    def untold_events(self) -> list[LogEvent]:
        """Changes that were written, and of which no line of the log has told for certain."""
        return self._write(log_outbox.waiting, ())

    def told(self, events: Iterable[LogEvent]) -> None:
        """Note that lines tell of these; it is written along with whatever is written next."""
        with self._shadow:
            self._told |= {each.id for each in events}

    def write_told(self) -> None:
        """Write that now, as nothing else will be written. Raises LeaseLostError."""
        if self._told and not self.failure:
            self._write(lambda _: None, ())

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()
        self._memory.dispose()

    def read(self, work: Callable[[Connection], T]) -> T:
        """Ask the shadow: it knows all that the worker wrote, and nobody else finds anything.

        Waits for no database: not even while one that hangs is being written.
        """
        with self._remembering() as memory:
            return work(memory)

    def _write(self, work: Callable[[Connection], T], checks: Collection[str], turn: int = 0) -> T:
        """Change what is remembered of some checks: in the database, and then in its shadow.

        On the shadow alone while the database fails. Raises LeaseLostError, and changes nothing,
        when the lease is not ours.
        """
        with self._turn:
            with self._shadow:
                told = frozenset(self._told)
            if self.failure:
                self._try_to_recover()
            if turn and self.lease and self.lease.token != turn:
                raise LeaseLostError("another worker acted meanwhile")
            if not self.failure:
                try:
                    with self._engine.begin() as connection:
                        if self.lease:
                            self.lease.verify(connection)
                        log_outbox.drop(connection, told)
                        answer = work(connection)
                        kept = {check: schema.rows(connection, check) for check in checks}
                except LeaseLostError:
                    self._lose_lease()
                    raise
                except (SQLAlchemyError, OSError) as error:
                    self._fail(error)
                else:
                    with self._shadow:
                        self._told -= told
                    # Last of all: the shadow never knows what the database does not.
                    with self._remembering() as memory:
                        for check, theirs in kept.items():
                            schema.adopt(memory, theirs, check)
                    return answer
            if not self.is_ours:
                raise LeaseLostError("the state cannot be reached")
            with self._remembering() as memory:
                log_outbox.drop(memory, told)  # and from the database once it is back
                return work(memory)

    @contextmanager
    def _remembering(self) -> Iterator[Connection]:
        """A transaction of the shadow."""
        with self._shadow, self._memory.begin() as memory:
            yield memory

    def _fail(self, error: Exception) -> None:
        self.failure = _reason(error)
        self._retry_at = time.monotonic() + RETRY_AFTER
        if self.lease:
            self.lease.go_on_without()

    def _try_to_recover(self) -> None:
        if time.monotonic() < self._retry_at:
            return
        try:
            self._bring_together()
        except (SQLAlchemyError, OSError, StateError) as error:
            self._fail(error)

    def _bring_together(self) -> None:
        """Bring the database and its shadow up to what either of them knows, if it is our turn."""
        fresh = self.failure is not None or not self._prepared
        if fresh:
            self.set_aside = _set_corrupt_file_aside(self._url, self._engine) or self.set_aside
        together: Rows | None = None
        before = self.lease.token if self.lease else 0
        with self._engine.begin() as connection:
            if fresh:
                schema.prepare(connection)
            claim = self.lease.claim(connection) if self.lease else None
            if claim is None or (claim.ours and (fresh or claim.taken)):
                if not (claim and claim.taken and before):  # or another one acted since
                    merge.merge(self.read(schema.rows), connection)
                together = schema.rows(connection)
                self.masking_secret = schema.kept_secret(connection, "masking", self.masking_secret)
        if together is not None:
            with self._remembering() as memory:
                schema.adopt(memory, together)
            self.is_known = True
        self._prepared, self.failure = True, None
        if claim:
            self._settle(claim)

    def _settle(self, claim: Claim) -> None:
        if not claim.ours:
            self._lose_lease()
        if self.lease:
            self.lease.settle(claim)

    def _lose_lease(self) -> None:
        """Forget what we knew: whoever has the lease knows better, and nothing of it is kept."""
        if self.lease:
            self.lease.lose()
        self.is_known = False
        with self._remembering() as memory:
            for table in (*schema.KEPT, schema.untold):
                memory.execute(delete(table))


@contextmanager
def visit(place: URL | UrlTable) -> Iterator[Connection]:
    """One transaction of another process than the worker's; it commits unless something raises.

    Raises StateError when there is no state of this version, or when it does not work.
    """
    url = place if isinstance(place, URL) else place.parsed
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise NoStateError(f"there is no state yet at {url.database}; the worker makes it")
    engine = _engine(place)
    try:
        with engine.begin() as connection:
            schema.require(connection)
            yield connection
    except (SQLAlchemyError, OSError) as error:
        raise StateError(_reason(error)) from None
    finally:
        engine.dispose()


def _engine(place: URL | UrlTable, idle: float = LONGEST_IDLE) -> Engine:
    url = place if isinstance(place, URL) else place.parsed
    # Without a pool every transaction opens the file anew: one that was deleted or replaced is
    # noticed, not written to in the void.
    limits: dict[str, Any] = {}
    if url.drivername.endswith("+pymysql"):
        seconds = max(1, min(LONGEST_IDLE, int(idle)))
        waits = f"wait_timeout = {seconds}, innodb_lock_wait_timeout = {LONGEST_LOCK_WAIT}"
        limits = {**LIMITS, "init_command": f"SET SESSION {waits}, {_MEANING}"}
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=limits)
    if engine.dialect.name == "sqlite":

        @event.listens_for(engine, "do_connect")
        def _private(*_given: object) -> None:
            if file := _file_of(url):
                private_file.make(file)

        @event.listens_for(engine, "connect")
        def _durable(raw: sqlite3.Connection, _record: object) -> None:
            try:
                raw.isolation_level = None  # or the driver begins late, and commits before DDL
                raw.execute("PRAGMA busy_timeout = 2000")
                raw.execute("PRAGMA journal_mode = WAL")
                raw.execute("PRAGMA synchronous = FULL")
            except sqlite3.Error:
                raw.close()  # the pool never saw it
                raise

        @event.listens_for(engine, "begin")
        def _alone(connection: Connection) -> None:
            # Nobody writes between what a transaction reads and what it writes.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    if isinstance(place, UrlTable):
        _connect_anew(engine, place)
    return engine


def _connect_anew(engine: Engine, settings: UrlTable) -> None:
    """Let each connection take the password from where it is now, and TLS as configured."""

    @event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: object, _arguments: object, given: dict[str, Any]) -> Any:
        def make(url: URL, tls: Mapping[str, Any]) -> Any:
            arguments, options = dialect.create_connect_args(url)
            if tls and "password" in options:  # or PyMySQL takes Latin-1
                options["password"] = options["password"].encode()
            connect = Guarded if settings.speaks_mysql else dialect.connect
            return connect(*arguments, **{**given, **options, **tls})

        if settings.speaks_mysql:
            return mysql.connect(settings, make)
        return make(mysql.fresh(settings), {})


def _set_corrupt_file_aside(url: URL, engine: Engine) -> Path | None:
    """Rename a SQLite file that is damaged, so that nothing in it is lost and a new one can be."""
    path = Path(url.database or "")
    if engine.dialect.name != "sqlite" or not path.is_file():
        return None
    try:
        with engine.connect() as connection:
            if connection.exec_driver_sql("PRAGMA quick_check").scalar() == "ok":
                return None
    except DatabaseError as error:
        if isinstance(error, OperationalError):  # locked, unreadable: not damaged
            raise
    aside = path.with_name(f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside


def _file_of(url: URL) -> Path | None:
    """Where a SQLite state lies; None of any other, and of one in memory."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def _reason(error: Exception) -> str:
    """The driver's own words, without the statement and its values."""
    original = getattr(error, "orig", None) or error
    return str(mysql.explained(original) or original).partition("\n")[0]
