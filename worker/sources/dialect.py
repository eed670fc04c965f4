"""SQLAlchemy's dialect of MySQL, for what a server is found to be, whatever it is called.

Without this it takes the answer to `SELECT VERSION()`, which a proxy may give in the place of the
server, and which forks and clouds write in many ways.
"""

import re
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

DRIVER = "mysql+audited"

_OLDEST = {True: "10.6.0", False: "8.0.0"}
"""What is taken of a server that tells no version, by whether it is MariaDB."""


class Dialect(MySQLDialect_pymysql):
    """That of the server which the session's variables are of."""

    supports_statement_cache = True

    def _get_server_version_info(self, connection: Connection) -> tuple[int, ...]:
        raw: Any = connection.connection.driver_connection
        known = raw.settings
        return self._parse_server_version(plain(known.version, is_mariadb=known.is_mariadb))


def plain(version: str, *, is_mariadb: bool) -> str:
    """A version as the servers themselves write it: `10.11.6-MariaDB`, `8.4.0`."""
    # MariaDB may put another one, of old, in front of its own.
    found = re.search(r"\d+\.\d+\.\d+", version.removeprefix("5.5.5-"))
    number = found[0] if found else _OLDEST[is_mariadb]
    return f"{number}-MariaDB" if is_mariadb else number


registry.register("mysql.audited", __name__, Dialect.__name__)
