"""What guards the HTTP side: TLS and users of the web configuration file, read anew as it changes.

Without such a file everybody may read everything in plain text.
"""

import hashlib
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from worker.config.web_config import WebFile, WebFileError

LOOK_EVERY = 1.0
"""Seconds between two looks at the files."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Security:
    """The latest web configuration that could be used."""

    def __init__(
        self, path: Path | None, on_reload: Callable[[float], None] = lambda _well: None
    ) -> None:
        """Read the file; `on_reload` is told 1 when a later one was accepted, else 0.

        Raises WebFileError.
        """
        self._path = path
        self._on_reload = on_reload
        self._current = WebFile.read(path) if path else WebFile()
        self._seen = self._contents()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="web-config", daemon=True)

    @property
    def context(self) -> ssl.SSLContext | None:
        """What the next handshake is made with; None for plain HTTP."""
        return self._current.context

    @property
    def users(self) -> Mapping[str, str]:
        """The bcrypt hash of each user; without any, nobody is asked who he is."""
        return self._current.basic_auth_users

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that every answer has."""
        return self._current.headers

    def start(self) -> None:
        """Look at the files from now on."""
        if self._path:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            if self._path and (contents := self._contents()) != self._seen:
                self._seen = contents
                self._reload(self._path)

    def _reload(self, path: Path) -> None:
        try:
            following = WebFile.read(path)
            self._refuse_to_open(following)
        except WebFileError as error:
            self._on_reload(0)
            _log.error("web_config_refused", error=str(error))
            return
        self._current = following
        self._seen = self._contents()  # it may name other files
        self._on_reload(1)
        _log.info("web_config_reloaded", users=len(following.basic_auth_users))

    def _refuse_to_open(self, following: WebFile) -> None:
        """A file that is only half written, or emptied, must not open what was closed."""
        if bool(following.context) != bool(self.context):
            raise WebFileError(f"file {self._path}: TLS is switched on or off by a restart only")
        if self.users and not following.basic_auth_users:
            raise WebFileError(f"file {self._path}: the last user is removed by a restart only")

    def _contents(self) -> bytes:
        """Says whether something has changed; holds nothing of it."""
        digest = hashlib.sha256()
        for path in self._current.files(self._path) if self._path else ():
            try:
                digest.update(hashlib.sha256(path.read_bytes()).digest())
            except OSError:
                digest.update(b"?")
        return digest.digest()
