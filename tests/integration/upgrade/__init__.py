"""An installation of an earlier version: its configuration, its ledger and what its worker kept.

`make.py` writes the data of a git revision. It is made once for a version that installations may
be upgraded from, and never again: what the present version writes would prove nothing.
"""

from pathlib import Path

from tests.support.authority import Authority

FOLDER = Path(__file__).parent

EVERY_KEY = FOLDER / "every-key.toml"
"""Every key of the configuration; nothing of it exists."""

FINGERPRINTS = FOLDER / "fingerprints.json"
"""The hash that the cursor of each check of `every-key.toml` is kept under, by its name."""

LOG = "demo-access.log"
"""The access log in an installation; `access.jsonl` here, git ignores that name."""

QUICKLY = {
    "RECONCILER_HTTP__PORT": "0",
    "RECONCILER_SCHEDULE__EVERY": "2s",
    "RECONCILER_SCHEDULE__OVERLAP": "1s",
    "RECONCILER_SCHEDULE__OVERLAP_ROWS": "0",
}
"""The environment of a worker that runs often, and that reads little of a small ledger again."""


def write_files(folder: Path) -> None:
    """What `every-key.toml` names, for a program that runs in this folder."""
    Authority(folder).issue("client")
    (folder / "password").write_text("a-made-up-password-of-32-letters")
    (folder / "url").write_text("mysql://auditor@127.0.0.1/archive")
    (folder / "web.yml").write_text("basic_auth_users: {}\n")
