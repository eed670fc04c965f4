"""What tests share: real servers, the worker as a process, made-up ledgers and logs."""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
"""The folder that holds the project."""

SHIPPED = CHECKOUT / "config.toml"
"""The configuration that comes with it."""

ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL")
"""Before a command: it ends with the tests, however they end."""
