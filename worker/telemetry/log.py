"""Structured logging: constant event names, details as fields, one line an event."""

import logging
import sys
from collections.abc import Mapping

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.config import LogSettings
from worker.telemetry.library_brake import LibraryBrake
from worker.text.encode import dump
from worker.text.printable import visible_characters

QUIET = ("apscheduler", "uvicorn", "sqlalchemy", "asyncio", "httpx", "httpcore")
"""Libraries of which only warnings and worse are logged."""


def set_up(settings: LogSettings) -> None:
    """Send this program's events, and its libraries' warnings, to standard error."""
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    renderers: list[Processor] = _json() if as_json else _console()
    structlog.configure(
        processors=[
            *([] if as_json else [_leave_passing_runs_out]),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(LibraryBrake())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _of_a_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Its warnings say at length what the event check_run_missed says.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def _of_a_library(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Give a library's sentence a constant event name, too."""
    record = event["_record"]
    return {**event, "event": "library_message", "logger": record.name, "message": event["event"]}


def _json() -> list[Processor]:
    # Local variables may hold passwords and rows: never in a traceback.
    tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [
        structlog.processors.ExceptionRenderer(tracebacks),
        _most_telling_first,
        structlog.processors.JSONRenderer(serializer=dump),
    ]


def _most_telling_first(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Time, level and name of an event begin its line, for whoever reads lines as they are."""
    first = {name: event.pop(name) for name in ("timestamp", "level", "event") if name in event}
    return {**first, **event}


def _leave_passing_runs_out(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """On a terminal, say what is not as it should be; the rest would bury it."""
    if event["event"] == "check_run" and event.get("outcome") == "pass":
        raise structlog.DropEvent
    return event


def _console() -> list[Processor]:
    return [
        structlog.processors.ExceptionRenderer(),
        _nested_as_json,
        _printable,
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]


def _printable(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Let no text command the terminal, hide, or begin a line that looks like another event."""
    return {
        name: (_lines if name in _OF_LINES else visible_characters)(value)
        if isinstance(value, str)
        else value
        for name, value in event.items()
    }


_OF_LINES = ("exception", "stack")
"""What may be several lines."""


def _lines(text: str) -> str:
    return "\n".join(visible_characters(each) for each in text.split("\n"))


def _nested_as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Keep findings readable, and on one line, on a terminal."""
    return {
        name: dump(value) if isinstance(value, Mapping | list | tuple) else value
        for name, value in event.items()
    }
