"""Compression of answers, for clients that ask for it."""

import gzip

from starlette.responses import Response

WORTH_IT = 1024
"""Bytes below which an answer is sent as it is."""

_LEVEL = 5
"""Of gzip's nine: a tenth larger than the best, in a third of the time."""


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding takes gzip: by name or by `*`, and not with a quality of 0."""
    qualities = {}
    for part in header.lower().split(","):
        coding, _, parameters = part.partition(";")
        name, _, quality = parameters.partition("=")
        qualities[coding.strip()] = _number(quality) if name.strip() == "q" else 1.0
    for coding in ("gzip", "x-gzip", "*"):
        if coding in qualities:
            return qualities[coding] > 0
    return False


def encode(answer: Response, accept_encoding: str) -> Response:
    """The answer, its body compressed where that is asked for and worth it.

    It takes its time: not for the event loop.
    """
    answer.headers["Vary"] = "Accept-Encoding"
    if len(answer.body) >= WORTH_IT and accepts_gzip(accept_encoding):
        answer.body = gzip.compress(answer.body, _LEVEL, mtime=0)
        answer.headers["Content-Encoding"] = "gzip"
        answer.headers["Content-Length"] = str(len(answer.body))
    return answer


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
