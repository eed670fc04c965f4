"""Questions over plain HTTP, and what metrics say; tests ask the same again and again."""

import ssl
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests.support.patience import patience

_TRUSTS_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Reading whom to trust takes several times as long as a request, and for plain HTTP is no use."""


def client(**options: Any) -> httpx.Client:
    """A client for plain HTTP, and for nothing else."""
    given = {"verify": _TRUSTS_NOBODY, "trust_env": False, "timeout": patience(10), **options}
    return httpx.Client(**given)


def get(url: str, **options: Any) -> httpx.Response:
    """The answer to one request."""
    with client(**options) as asking:
        return asking.get(url)


def samples(text: str, name: str) -> list[Sample]:
    """The series of a metric in the text format; the lines of all others are not parsed."""
    wanted = (f"{name} ", f"{name}{{")
    lines = [line for line in text.split("\n") if line.startswith(wanted)]
    families = text_string_to_metric_families("\n".join([*lines, ""]))
    return [sample for family in families for sample in family.samples]
