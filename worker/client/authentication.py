"""Which ways to log in a database server is allowed, by what is known of who it is.

Most ways are challenges: of the answer nobody makes the password, other than by guessing. Others
tell it. `mysql_clear_password` and `dialog` send it as it is; `mysql_old_password` as good as that;
`caching_sha2_password` asks for it when the server has not cached it, `sha256_password` always.
Whoever sits at the address of the database, or on the way to it, may ask for any of them.

| what is known of the server           | challenges | the password for SHA-2 | the others |
|---------------------------------------|------------|------------------------|------------|
| its certificate was verified          | yes        | yes                    | yes        |
| TLS, and nothing was verified         | yes        | yes, within TLS        | no         |
| plain text to this machine itself     | yes        | yes, by a key of RSA   | no         |
| plain text to another machine         | yes        | no                     | no         |

MySQL from 8.0 on asks for the password itself after each restart. So there is no `tls = "required"`
and no account on this machine without it, and only a verified certificate keeps it from an
impostor. In plain text it is encrypted, by a key that whoever answers may choose.
"""

import re
from typing import Any

from pymysql.connections import Connection as DriverConnection

from worker.config.tls import ServerContext, is_loopback

_CHALLENGES = ("mysql_native_password", "client_ed25519")
_ON_DEMAND = ("caching_sha2_password", "sha256_password")
"""Those that ask for the password itself where the server cannot do without."""

_REMEDY = (
    'tls = "verify-identity", or "verify-ca" with ca_file, lets the password go to the server'
    " that was verified"
)


class LoginRefusedError(OSError):
    """The server asked for the password in a way that is not allowed. Holds no secret."""


class Connection(DriverConnection):  # the stubs leave out what is protected
    """A connection of PyMySQL that answers no request for the password that is not allowed."""

    server_version: str

    def _get_server_information(self) -> None:
        """Read the greeting. PyMySQL wants a number in it that tells servers of before 5.0."""
        super()._get_server_information()  # type: ignore[misc]
        if not re.match(r"\d+(\.|$)", self.server_version):
            self.server_version = f"8.0.0-{self.server_version}"

    def _process_auth(self, plugin_name: bytes, auth_packet: Any, handler: Any = None) -> Any:
        """Answer a server that asks for another way to log in than it began with."""
        name = plugin_name.decode("ascii", "replace")
        if name not in _CHALLENGES + _ON_DEMAND and not self._is_verified:
            raise LoginRefusedError(
                f"the server asks for a login by {name[:64]!r}, which may tell the password to"
                f" whoever it is ({_REMEDY})"
            )
        return super()._process_auth(plugin_name, auth_packet, handler)  # type: ignore[misc]

    def _get_auth_plugin_handler(self, _plugin_name: bytes) -> None:
        """There are none of our own; PyMySQL would look for one, under a name that is ASCII."""

    @property
    def server_public_key(self) -> bytes | None:
        """By what key the password is encrypted in plain text: read when it is to be sent so."""
        if not is_loopback(self.host):
            raise LoginRefusedError(
                "the server asks for the password, by a key that nobody has verified (tls other"
                ' than "disabled" does without the key)'
            )
        return self._server_public_key

    @server_public_key.setter
    def server_public_key(self, key: bytes | None) -> None:
        self._server_public_key = key

    @property
    def _is_verified(self) -> bool:
        context = getattr(self, "ctx", None)
        return isinstance(context, ServerContext) and context.proves_identity
