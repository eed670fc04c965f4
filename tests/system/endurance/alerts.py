"""Whether a person was told of a check's findings exactly as the design says."""

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Set as AbstractSet
from itertools import cycle, islice

from tests.support.alertmanager import AlertmanagerServer, Receiver

BEGINS = {"finding_confirmed", "finding_reopened"}
ENDS = {"finding_acknowledged", "finding_resolved"}


def rises(state: sqlite3.Connection) -> Counter[str]:
    """How often each check came to have a confirmed finding that nobody has acknowledged."""
    fires: defaultdict[str, set[str]] = defaultdict(set)
    found: Counter[str] = Counter()
    history = "SELECT check_name, finding_id, change FROM finding_events ORDER BY id"
    for check, finding, change in state.execute(history):
        if change in BEGINS:
            found[check] += not fires[check]
            fires[check].add(finding)
        elif change in ENDS:
            fires[check].discard(finding)
    return found


def judge(
    person: Receiver, pager: AlertmanagerServer, confirmed: Counter[str], known: Counter[str]
) -> Counter[str]:
    """Compare what was told with the confirmed findings of each check, and with `rises`.

    An alert is about a check: it fires while the check has a confirmed finding that nobody has
    acknowledged, and each beginning and each end of that is told once, if at all. Gives how often
    each check was told as firing.
    """
    firing = {each["labels"]["check"]: each["annotations"] for each in pager.alerts()}
    counts = {check: int(said["count"]) for check, said in firing.items()}
    assert counts == confirmed, (counts, confirmed)
    told: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for each in tuple(person.taken):
        told[each.labels["check"]].append((each.status, each.starts_at))
    assert told.keys() >= confirmed.keys(), confirmed.keys() - told.keys()
    for check, said in told.items():
        statuses = [status for status, _ in said]
        # In turn: nothing twice, no end without a beginning.
        assert statuses == [*islice(cycle(("firing", "resolved")), len(said))], (check, said)
        assert (statuses[-1] == "firing") == (check in confirmed), (check, said)
        begins = [at for status, at in said if status == "firing"]
        assert len({*begins}) == len(begins) <= known[check], (check, said, known[check])
    return Counter({check: len(said) // 2 + len(said) % 2 for check, said in told.items()})


def shows(texts: AbstractSet[str], canaries: AbstractSet[str]) -> set[str]:
    """Which canaries are in what was said, as a word of their own."""
    words = "|".join(re.escape(each) for each in canaries)
    whole = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])")
    return {found for text in texts for found in whole.findall(text)}
