"""What an answer means that no Alertmanager gives to an alert it takes, and what to do about it."""

import json

from worker.client.credentials import credentials, tls
from worker.client.exchange import Exchange, Reply
from worker.config import AlertmanagerSettings

OK = 200

NOBODY = "no Alertmanager answers at this URL"

_MEANINGS = {
    401: "it asks for credentials, or for others: username and password_file, or bearer_file",
    403: "these credentials may not do this",
    404: f"{NOBODY}: a path before /api/ is missing (its --web.route-prefix), or one too many",
    405: f"{NOBODY}, or what stands before it lets nobody send",
    407: "a proxy asks for credentials; none is used",
    408: "it gave up waiting",
    410: "what answers is too old, or no Alertmanager: version 2 of the API is needed",
    413: "too large for what stands before the Alertmanager: raise its limit for requests",
    415: f"{NOBODY}: what answers takes no JSON",
    429: "it is asked too often: its limit is too low for so many senders",
    502: "what stands before the Alertmanager does not reach it",
    503: "it, or what stands before it, is not ready",
    504: "what stands before the Alertmanager waits for it in vain",
}
_REDIRECTED = (
    "it redirects, which is not followed: state where that leads (https, a path, no login)"
)
_REDIRECTS = range(300, 400)


def meaning(status: int) -> str:
    """What a status other than 200 says, in a sentence without anything of the answer."""
    why = _REDIRECTED if status in _REDIRECTS else _MEANINGS.get(status)
    return f"answered with status {status}" + (f": {why}" if why else "")


def problem(settings: AlertmanagerSettings) -> str | None:
    """What is wrong with these settings; None where an Alertmanager answers.

    Raises CheckError when nothing answers at all.
    """
    url = settings.url.rstrip("/") + "/api/v2/status"
    exchange = Exchange(url, None, credentials(settings), tls(settings))
    reply = exchange.reply(settings.time_limit.total_seconds())
    if reply.status != OK:
        return meaning(reply.status)
    return None if _is_status(reply) else f"{NOBODY}: something else does"


def _is_status(reply: Reply) -> bool:
    """Whether it is how an Alertmanager describes itself."""
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and {"cluster", "versionInfo"} <= document.keys()
