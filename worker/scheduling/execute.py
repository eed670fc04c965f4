"""One execution of a check, with an outcome whatever happens."""

import time
from typing import Any

from checks.contract import EVERYTHING, Check, CheckError, Result, RunStopped, Window
from checks.ports import Sources
from worker.model.run import Outcome, Run, Scope
from worker.model.steady_clock import STEADY


def execute(check: Check, sources: Sources, window: Window = EVERYTHING) -> Run:
    """Run a check. Never raises: what goes wrong is the run's outcome."""
    (started_at, correction), start = STEADY.read(), time.monotonic()
    asked = Scope.COMPLETE if window.cursor is None else Scope.INCREMENTAL

    def ended(outcome: Outcome, scope: Scope = asked, **fields: object) -> Run:
        seconds = time.monotonic() - start
        times: dict[str, Any] = {"scope": scope, "correction": correction}
        return Run(check, outcome, started_at, seconds, **times, **fields)  # type: ignore[arg-type]

    try:
        result = _answer(check, sources, window)
    except RunStopped as stopped:
        return ended(Outcome.SKIPPED, error=str(stopped))
    except CheckError as error:
        permanent, kept = error.permanent, error.kept
        return ended(Outcome.ERROR, error=str(error), permanent=permanent, kept=kept)
    except Exception as error:  # noqa: BLE001 - the one place: a fault in one check stops no other
        # The exception's text may hold row data; its type and place do not.
        return ended(Outcome.ERROR, error=f"fault in the check: {_where(error)}", permanent=True)
    read = Scope.COMPLETE if result.complete else Scope.INCREMENTAL
    return ended(Outcome.FAIL if result.violations else Outcome.PASS, read, result=result)


def refused(check: Check, why: str) -> Run:
    """A run that could not begin."""
    now, correction = STEADY.read()
    return Run(check, Outcome.ERROR, now, 0.0, error=why, correction=correction)


def _answer(check: Check, sources: Sources, window: Window) -> Result:
    """Ask once, and once more when what got in the way is likely to be over."""
    try:
        return check.evaluate(sources, window)
    except CheckError as error:
        if not error.retry:
            raise
    return check.evaluate(sources, window)


def _where(error: Exception) -> str:
    step = error.__traceback__
    while step and step.tb_next:
        step = step.tb_next
    place = f" at {step.tb_frame.f_code.co_name}:{step.tb_lineno}" if step else ""
    return f"{type(error).__name__}{place}"
