"""Canaries: passwords and customers' data that must not get out, through every fault."""

import signal
from pathlib import Path
from urllib.parse import quote

from tests.support import asking
from tests.support.alertmanager import alertmanager, receiver
from tests.support.monitoring import PASSWORD as PAGER_PASSWORD
from tests.support.monitoring import USER as PAGER_USER
from tests.support.patience import wait_until
from tests.support.proxy import Fault, proxy
from tests.support.servers import Server
from tests.system.faults.canaries import PAGES, PASSWORD
from tests.system.faults.ledgers import HEAD, do, prepare, running, section

USER, MOBILE, CUSTOMERS_KEY = "86013800777", "13912345678", "canary-key-of-86013800777"
CANARIES = (PASSWORD, quote(PASSWORD, safe=""), USER, MOBILE, CUSTOMERS_KEY, PAGER_PASSWORD)

MORE = """
[[checks]]
name = "victim.users"
kind = "condition"
table = "t"
primary_key = "id"
database = "victim"
severity = "critical"
expression = "user_id < 5 AND mobile = 'none'"

[alerts]
push = ["critical"]
resend_every = "1s"

[alertmanagers.main]
url = "{url}"
username = "{user}"
password_file = "pager-password"
ca_file = "{folder}/server.pem"
certificate_file = "{folder}/client.pem"
key_file = "{folder}/client.key"
"""

PATHS = (
    *(*PAGES, f"/?mobile={MOBILE}", "/checks/victim.keys", "/checks/victim.users"),
    *("/api/v1/checks/victim.keys", "/api/v1/checks/victim.users"),
)


def test_nothing_gets_out(mariadb: Server, tmp_path: Path) -> None:
    """No canary is in log, metrics, pages, API, alerts or arguments, whatever goes wrong."""
    database = prepare(mariadb, tmp_path)
    (tmp_path / "pager-password").write_text(PAGER_PASSWORD)
    do(
        database,
        "ALTER TABLE t ADD user_id bigint, ADD mobile varchar(20)",
        f"UPDATE t SET idempotency_key = '{CUSTOMERS_KEY}', user_id = {USER}, mobile = '{MOBILE}'",
    )
    seen: list[str] = []
    with (
        proxy(mariadb.port) as way,
        receiver() as person,
        alertmanager(receiver=person.url, secure=True) as pager,
    ):
        more = MORE.format(url=pager.url, user=PAGER_USER, folder=pager.folder)
        config = HEAD + section(database, "victim", way.port) + more
        with running(tmp_path, config, *CANARIES) as worker:

            def look() -> None:
                answers = [worker.get(path) for path in PATHS]
                assert {each.status_code for each in answers} <= {200, 503}
                seen.extend(each.text for each in answers)

            worker.wait_for(1, "findings", 20, check="victim.keys", state="confirmed")
            person.wait("ReconcilerDuplicates", "firing")
            look()
            way.break_with(Fault.GARBAGE)
            worker.wait_for(1, "check_outcome", 20, check="victim.keys", outcome="error")
            look()
            way.mend()
            (tmp_path / "password").write_text(PASSWORD + "wrong")
            broken = config.replace("auditor@", f"auditor:{quote(PASSWORD, safe='')}@")
            worker.config.write_text(broken + f'\n[{MOBILE}\nurl = "{PASSWORD}"\n')
            worker.process.send_signal(signal.SIGHUP)
            wait_until(lambda: bool(worker.events("config_refused")), 20, "it is refused")
            worker.config.write_text(config)
            worker.process.send_signal(signal.SIGHUP)  # the wrong password is taken over
            worker.wait_for(1, "check_outcome", 20, check="victim.rows", outcome="error")
            look()
            arguments = Path(f"/proc/{worker.process.pid}/cmdline").read_text(encoding="utf-8")
            seen += [worker.text, arguments, repr(pager.alerts()), repr(person.taken)]
            asking.get(f"{worker.address}/{CUSTOMERS_KEY}", headers={"X-Mobile": MOBILE})
            seen.append(worker.text)
    assert "ReconcilerDuplicates" in seen[-3]
    leaks = {
        (canary, text[max(0, text.index(canary) - 80) :][:160])
        for canary in CANARIES
        for text in seen
        if canary in text
    }
    assert leaks == set()
    mariadb.drop_database(database.name)
