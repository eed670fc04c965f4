"""Garbage in the middle of a result, wherever it begins.

What the worker makes of it, and of other faults there, is in `tests/faults/test_network.py`; a
server that is frozen there in `tests/worker/test_sources.py`.
"""

import os
import random
from collections import Counter

from sqlalchemy import text

from checks.contract import CheckError
from tests.support.proxy import Fault, proxy
from tests.support.servers import Database, Server
from tests.system.faults.ledgers import LONG, do
from worker.config import DatabaseSettings
from worker.sources import Database as Source

SEED = os.environ.get("SEED", "1")
PLACES = 3000 if LONG else 100
"""In how many places of a result garbage begins."""

TYPES = "id int, amount decimal(20, 4), at datetime(3), note text, extra json, raw varbinary(30)"


def test_garbage_anywhere(server: Server) -> None:
    """Wherever garbage begins in a result, and in whatever type, it is an error of the database.

    The next result is right.
    """
    rng = random.Random(SEED)  # noqa: S311 - nothing here is secret
    database = Database(server=server, name=server.create_database())
    rows = ", ".join(
        f"({n}, {n}.25, '2026-01-01 00:00:01', 'note {n}', '[{n}]', x'ff00')" for n in range(300)
    )
    do(database, f"CREATE TABLE t ({TYPES})", f"INSERT INTO t VALUES {rows}")
    with proxy(server.port, iter(lambda: rng.randbytes(rng.randint(1, 200)), b"")) as way:
        url = database.url.set(port=way.port).render_as_string()
        source = Source("ledger", DatabaseSettings(url=url))

        def read(fault: Fault = Fault.NONE, intact: int = 0) -> list[tuple[object, ...]]:
            with source.snapshot() as connection:
                way.break_with(fault, intact=intact)
                return [tuple(row) for row in connection.execute(text("SELECT * FROM t"))]

        right, strange = read(), Counter[str]()
        for _ in range(PLACES):
            try:
                read(Fault.GARBAGE, rng.randrange(9000))
                strange["no error"] += 1
            except CheckError as error:
                strange[str(error)] += not str(error).startswith("database ledger: ")
            except Exception as error:  # noqa: BLE001 - which is what must not be
                strange[repr(error)] += 1
            way.mend()
            assert read() == right
        source.close()
    server.drop_database(database.name)
    assert +strange == {}
