"""A check of a relation finds what it finds in a table that holds the relation's rows."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from checks.contract import Check, Result
from tests.support.ledgers import Ledger, configured, on_servers
from tests.support.runs import window_after

MOVES = (
    "CREATE TABLE moves (id bigint PRIMARY KEY, owner bigint,"
    " code varchar(20) COLLATE utf8mb4_unicode_ci NOT NULL, amount decimal(30,4) NOT NULL,"
    " sign int, KEY (owner), KEY (code))"
)
OWNERS = (
    "CREATE TABLE owners (id bigint PRIMARY KEY, kind varchar(5), total decimal(30,2) NOT NULL)"
)

SELECTS = {
    "filtered": "SELECT m.id, m.owner, m.code, m.amount FROM {moves} m WHERE {where}",
    "joined": "SELECT m.id, m.owner, m.code, m.amount FROM {moves} m"
    " JOIN owners o ON o.id = m.owner WHERE {where}",
    "outer": "SELECT m.id, o.id AS owner, m.code, m.amount FROM {moves} m"
    " LEFT JOIN owners o ON o.id = m.owner AND o.kind = 'u' WHERE {where}",
    "worked_out": "SELECT m.id, m.owner, CONCAT('k', LEFT(m.code, 1)) AS code,"
    " CASE WHEN sign = 1 THEN amount ELSE -amount END AS amount FROM {moves} m WHERE {where}",
    "nested": "SELECT b.id, b.owner, b.code, b.amount FROM {basis} b WHERE b.amount <> 0",
    "grouped": "SELECT MAX(m.id) AS id, m.owner, MIN(m.code) AS code, SUM(m.amount) AS amount"
    " FROM {moves} m WHERE {where} GROUP BY m.owner",
    "united": "SELECT m.id, m.owner, m.code, m.amount FROM {moves} m WHERE {where}"
    " UNION ALL SELECT -m.id, m.owner, m.code, -m.amount FROM {moves} m WHERE NOT ({where})",
}
BASIS = "SELECT m.id, m.owner, m.code, m.amount FROM {moves} m WHERE {where}"
WHERES = ("sign = 1", "amount > 0", "code LIKE 'a%'", "sign IS NULL OR sign <> 1")
FOLLOWED = {"filtered", "joined", "outer", "worked_out", "nested"}
"""Those whose cursor is a column of a table."""

MOVE = st.tuples(
    st.one_of(st.none(), st.integers(1, 6)),
    st.sampled_from(["a", "A", "a ", "b", "ab", "c"]),
    st.decimals("-1000000000000000000", "1000000000000000000", places=4),
    st.sampled_from([None, 0, 1, 2]),
)
OWNER = st.tuples(st.sampled_from([None, "u", "s"]), st.decimals("-3", "3", places=2))


@dataclass(frozen=True)
class Scene:
    """A relation, the rows at the beginning, and rows that come later."""

    select: str
    where: str
    counts: str
    """Which moves count at all."""
    owners: list[tuple[object, ...]]
    steps: list[list[tuple[object, ...]]]


SCENES = st.builds(
    Scene,
    st.sampled_from(sorted(SELECTS)),
    st.sampled_from(WHERES),
    st.sampled_from(["id > 0", "sign <> 2", "code <> 'c' OR amount > 5"]),
    st.lists(OWNER, max_size=5),
    st.lists(st.lists(MOVE, max_size=6), min_size=2, max_size=3),
)


def checks_of(scene: Scene, table: str) -> Mapping[str, Check]:
    """A check of each kind that reads rows, of the relation or of a table with its rows."""
    select = SELECTS[scene.select].format(where=scene.where, moves="moves", basis="basis")
    facts = 'primary_key = "id"\n' + ('cursor = "id"\n' if scene.select in FOLLOWED else "")
    document = f"""
        [tables.owners]
        primary_key = "id"
        [tables.moves]
        primary_key = "id"
        cursor = "id"
        when = "{scene.counts}"
        [relations.basis]
        select = "{BASIS.format(where=scene.where, moves="moves")}"
        primary_key = "id"
        [{"relations.r" if table == "r" else f"tables.{table}"}]
        {f'select = "{select}"' if table == "r" else ""}
        {facts}
        [[checks]]
        name = "reference"
        kind = "reference"
        table = "{table}"
        columns = ["owner"]
        parent = "owners"
        parent_when = "kind = 'u'"
        equal = {{ amount = "total" }}
        settle = "0s"
        [[checks]]
        name = "duplicates"
        kind = "duplicates"
        table = "{table}"
        columns = ["code"]
        [[checks]]
        name = "non_negative"
        kind = "non_negative"
        table = "{table}"
        columns = ["amount"]
        [[checks]]
        name = "condition"
        kind = "condition"
        table = "{table}"
        expression = "amount + 1 > 0.5 AND owner IS NOT NULL"
        """
    with tempfile.TemporaryDirectory() as folder:
        found = configured(document, Path(folder))
    return {name: each for name, each in found.items() if "." not in name}


def rows_of(scene: Scene) -> str:
    """The SELECT of the relation, written by hand with all that it stands on."""
    moves = f"(SELECT * FROM moves WHERE {scene.counts})"
    basis = f"({BASIS.format(where=scene.where, moves=moves)})"
    return SELECTS[scene.select].format(where=scene.where, moves=moves, basis=basis)


@on_servers
@settings(
    deadline=None,
    max_examples=12,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[*HealthCheck],
)
@given(scene=SCENES)
def test_a_relation_is_read_like_a_table_of_its_rows(ledger: Ledger, scene: Scene) -> None:
    """By every kind, complete and along the cursor as rows come; nothing else is found."""
    ledger.clear()
    ledger.sql(MOVES, OWNERS)
    ledger.insert("owners", "id, kind, total", [(n, *each) for n, each in enumerate(scene.owners)])
    ours, number = checks_of(scene, "r"), 0
    last: dict[str, Result] = {}
    for step in scene.steps:
        rows = [(number + n, *row) for n, row in enumerate(step, start=1)]
        number += len(rows)
        ledger.insert("moves", "id, owner, code, amount, sign", rows)
        ledger.sql("DROP TABLE IF EXISTS copied", f"CREATE TABLE copied AS {rows_of(scene)}")
        ledger.sql("ALTER TABLE copied ADD KEY (id)")
        theirs = checks_of(scene, "copied")
        for name, check in ours.items():
            expected = facts_of(theirs[name].run(ledger.sources))
            assert facts_of(check.run(ledger.sources)) == expected, name
            known = last.get(name)
            if known is not None and known.cursor:
                result = check.run(ledger.sources, window_after(known))
                assert facts_of(result) == expected, name
                last[name] = result
            else:
                last[name] = check.run(ledger.sources)


def facts_of(result: Result) -> tuple[int, list[tuple[object, ...]]]:
    """How many violations there are, and which, whatever the table is called."""
    keys = [
        (*sorted((n, str(v)) for n, v in finding.key.items()), finding.magnitude)
        for finding in result.findings
    ]
    return result.violations, sorted(keys, key=str)
