"""Business traffic: many writers at once, each on a thread of its own.

Most transactions are short. Some stay open for a while after they have taken their ids, so that
rows become visible out of the order of their ids; some business events come in two transactions,
one for the business rows and one for the ledger rows. What a writer does follows from the seed; how
the writers' transactions interleave does not.
"""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.servers import Database
from tests.system.endurance.books import Count
from tests.system.endurance.faults import FAULTS, Record, debt_that_is_paid
from tests.system.endurance.writer import Writer

HISTORY = 400
"""Events of the time before."""

DEBTS = 1
"""What a writer leaves unpaid; an older debt is paid, so that some findings are mended."""


def write_history(database: Database, seed: str) -> None:
    """Half an hour ago, business went on for a while: there is something to be read before."""
    options: Any = {"seed": seed, "lateness": 0.0, "stop": threading.Event(), "count": Count()}
    writer = Writer(database, "before", **options)
    with closing(writer.books):
        writer.books.run("SET timestamp = UNIX_TIMESTAMP() - 1800")
        for _ in range(HISTORY):
            writer.next_event()
        writer.finish()


@dataclass(kw_only=True)
class Traffic:
    """Writers at work, and what they did."""

    database: Database
    writers: int
    seed: str
    fault_every: int = 0
    """Every how many events of a writer one is spoilt; 0 for never."""
    pause: float = 0.0
    """Seconds that a writer rests after each event."""
    count: Count = field(default_factory=Count)
    record: Record = field(default_factory=Record)
    stop: threading.Event = field(default_factory=threading.Event)
    failures: list[Exception] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write while the block runs; then wait until the last transaction has ended."""
        threads = [
            threading.Thread(target=self._write, args=[number], name=f"writer {number}")
            for number in range(self.writers)
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        if self.failures:
            raise ExceptionGroup("writers failed", self.failures)

    def _write(self, number: int) -> None:
        # Half of them hold many of their transactions open, the others hardly any.
        lateness = 0.02 if number % 2 else 0.5
        writer = Writer(
            *(self.database, str(number)),
            seed=self.seed,
            lateness=lateness,
            stop=self.stop,
            count=self.count,
        )
        try:
            with closing(writer.books):
                self._do_events(writer, number)
        except Exception as error:  # noqa: BLE001 - told by the thread that waits
            self.failures.append(error)
            self.stop.set()

    def _do_events(self, writer: Writer, number: int) -> None:
        faults = number * len(FAULTS) // self.writers
        events = 0
        while not self.stop.wait(self.pause):
            events += 1
            if not self.fault_every or events % self.fault_every:
                writer.next_event()
                continue
            self.record.add([*FAULTS[faults % len(FAULTS)](writer)])
            faults += 1
            if len(writer.debts) > DEBTS:
                self.record.mend([*debt_that_is_paid(writer)])
