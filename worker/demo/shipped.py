"""The configuration that comes with the program: `config.toml` of the repository."""

import os
from pathlib import Path

from worker.config import DEFAULT_PATH, PATH_VARIABLE

_SHIPPED = Path(__file__).with_name("config.toml")  # a link in a checkout, a file in a wheel


def write_if_missing() -> bool:
    """Copy it into the working directory, unless a configuration is there or is named.

    Returns whether it was written. The other commands find it there, and it is a start for a
    configuration of one's own. Never overwrites a file. Raises OSError.
    """
    if os.environ.get(PATH_VARIABLE):
        return False
    try:
        with DEFAULT_PATH.open("xb") as file:
            file.write(_SHIPPED.read_bytes())
    except FileExistsError:
        return False
    return True
