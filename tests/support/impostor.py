"""Whoever sits where a database should be: it speaks the handshake, and wants the password.

No real server can be made to do this, which is why it is not one.
"""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support.servers import HOST

SALT = b"abcdefghijklmnopqrst"

_LONG_PASSWORD, _CONNECT_WITH_DB, _PROTOCOL_41, _SSL = 1, 8, 0x200, 0x800
_SECURE_CONNECTION, _PLUGIN_AUTH, _LENENC = 0x8000, 0x80000, 0x200000
_OK = b"\x00\x00\x00\x02\x00\x00\x00"
_DENIED = b"\xff\x15\x04#28000Access denied"


@dataclass(frozen=True, kw_only=True)
class Wants:
    """How it asks for the password."""

    plugin: str = "mysql_native_password"
    """What its greeting names."""
    switches: Sequence[bytes] = ()
    """What it switches to, as it says so after the name and in place of a salt."""
    full: bool = False
    """Whether it wants the password itself of those that log in by SHA-2."""
    version: str = "8.4.0"


@dataclass
class Impostor:
    """One that listens; `heard` is all that clients sent, decrypted where it holds the key."""

    port: int
    heard: bytearray = field(default_factory=bytearray)
    visits: int = 0


@contextmanager
def impostor(wants: Wants, certificate: tuple[Path, Path] | None = None) -> Iterator[Impostor]:
    """One that listens meanwhile, with TLS if it has a certificate."""
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
    with socket.create_server((HOST, 0)) as listener:
        made = Impostor(listener.getsockname()[1])

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    made.visits += 1
                    visit = _Visit(client, made, wants, _key(), context)
                    with suppress(OSError, EOFError):
                        visit.receive()
                    visit.client.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield made
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass
class _Visit:
    client: socket.socket
    made: Impostor
    wants: Wants
    key: rsa.RSAPrivateKey
    context: ssl.SSLContext | None
    number: int = 0

    def receive(self) -> None:
        self.client.settimeout(10)
        self._greet()
        answer = self._read()
        if self.context and len(answer) == 32:  # it asks for TLS, and says who it is afterwards
            self.client = self.context.wrap_socket(self.client, server_side=True)
            answer = self._read()
        for each in self.wants.switches:
            self._send(b"\xfe" + each)
            answer = self._read()
        if self.wants.full:
            self._want_it_all(answer)
        self._send(_DENIED)

    def _want_it_all(self, answer: bytes) -> None:
        """Of SHA-2: say that nothing is cached, and hand out a key where there is no TLS."""
        is_sha256 = self.wants.plugin.startswith("sha256")
        if not is_sha256:
            self._send(b"\x01\x04")
            answer = self._read()
        if (is_sha256 or answer == b"\x02") and not self._is_encrypted:
            public = self.key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            self._send(b"\x01" + public)
            self._read()

    @property
    def _is_encrypted(self) -> bool:
        return isinstance(self.client, ssl.SSLSocket)

    def _greet(self) -> None:
        can = _LONG_PASSWORD | _CONNECT_WITH_DB | _PROTOCOL_41 | _SECURE_CONNECTION
        can |= _PLUGIN_AUTH | _LENENC | (_SSL if self.context else 0)
        self._send(
            b"\x0a"
            + self.wants.version.encode()
            + b"\0"
            + struct.pack("<I8sx", 7, SALT[:8])
            + struct.pack("<HBHHB10x", can & 0xFFFF, 45, 2, can >> 16, 21)
            + SALT[8:]
            + b"\0"
            + self.wants.plugin.encode()
            + b"\0"
        )

    def _send(self, packet: bytes) -> None:
        self.client.sendall(
            struct.pack("<I", len(packet))[:3] + bytes([self.number % 256]) + packet
        )

    def _read(self) -> bytes:
        head = self._exactly(4)
        self.number = head[3] + 1
        packet = self._exactly(int.from_bytes(head[:3], "little"))
        self.made.heard += packet
        if len(packet) == self.key.key_size // 8:
            oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303
            with suppress(ValueError):
                hidden = self.key.decrypt(packet, oaep)
                salt = SALT * (len(hidden) // len(SALT) + 1)
                self.made.heard += bytes(a ^ b for a, b in zip(hidden, salt, strict=False))
        return packet

    def _exactly(self, number: int) -> bytes:
        read = b""
        while len(read) < number:
            if not (part := self.client.recv(number - len(read))):
                raise EOFError
            read += part
        return read
