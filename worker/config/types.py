"""What all sections of the file share: strictness, and named types of their values."""

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from checks.lazy_import import Later
from checks.types import parse_duration
from worker.config.cron import FIELDS, CronLine

if TYPE_CHECKING:
    import httpx
else:
    httpx = Later("httpx")


class Table(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("not a time zone of the IANA database, such as Asia/Shanghai") from None
    return value


def _cron_line(value: object) -> CronLine:
    return value if isinstance(value, CronLine) else CronLine(str(value))


def _schedule(value: object) -> timedelta | CronLine:
    fields = len(value.split()) if isinstance(value, str) else 1
    if isinstance(value, CronLine) or fields == FIELDS:
        return _cron_line(value)
    if fields == 1:
        return parse_duration(value)
    raise ValueError("neither a duration (30s, 5m, 1h) nor a cron line of five fields (0 3 * * *)")


def parse_url(value: str) -> URL:
    """A SQLAlchemy URL. Raises ValueError that repeats nothing of it: it may hold a password."""
    try:
        url = make_url(value)
    except (ArgumentError, ValueError):
        raise ValueError("not a URL such as mysql://user@host:3306/database") from None
    # What follows an unescaped character of a password would pass for host or database.
    host = "" if _is_ipv6(url.host or "") else url.host or ""
    elsewhere = f"{host} {url.database or ''}"
    if url.get_backend_name() != "sqlite" and any(each in elsewhere for each in "@/:#"):
        raise ValueError(
            "host or database holds one of @ / : #; in a password write %40 %2F %3A %23"
        )
    return url


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6  # noqa: PLR2004 - the version's name
    except ValueError:
        return False


def _server_url(value: str) -> str:
    """A URL of a web server. Raises ValueError that repeats nothing of it."""
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL:
        raise ValueError("not a URL such as https://prometheus.example:9090") from None
    if url.userinfo:
        raise ValueError("credentials in the URL: use username and password_file, or bearer_file")
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("not http:// or https:// and a host")
    if url.query or url.fragment:
        raise ValueError("a URL up to a path only, without ? and # and what follows them")
    return value


Zone = Annotated[str, AfterValidator(_zone)]
"""A time zone by its IANA name."""

LabelName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
"""The name of a label, as Prometheus has it."""

LabelValue = Annotated[str, StringConstraints(min_length=1, max_length=200)]

WebAddress = Annotated[str, AfterValidator(_server_url)]
"""An http or https URL up to a path, without credentials."""

Cron = Annotated[CronLine, BeforeValidator(_cron_line)]
"""A cron line, in the configured time zone."""

Schedule = Annotated[timedelta | CronLine, BeforeValidator(_schedule)]
"""An interval, or a cron line of five fields in the configured time zone."""
