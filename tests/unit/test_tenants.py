"""Facts and checks of several databases, and names that say of which one a table is."""

from pathlib import Path

import pytest

from checks.kinds.non_negative import NonNegative
from checks.kinds.pairing.reference import Reference
from tests.unit.test_config import load, mistakes

DATABASES = """
[databases.main]
url = "mysql://audit@127.0.0.1:3306/main_schema"
[databases.tenant_a]
url = "mysql://audit@127.0.0.1/a_schema"
[databases.tenant_b]
url = "mysql://audit@127.0.0.2/b_schema"
"""

FACTS = """
[tables.purse]
databases = {databases}
primary_key = "id"
non_negative = ["amount"]
when = "amount <> 7"
"""

REFERENCE = """
[[checks]]
name = "spending.purse"
kind = "reference"
settle = "0s"
columns = ["purse_id"]
"""


def placed(folder: Path, text: str) -> list[tuple[str, str, str]]:
    """Each check with its database and its table."""
    return [(c.name, c.database, c.table) for c in load(folder, DATABASES + text).checks]


def test_facts_are_stated_once_for_several_databases(tmp_path: Path) -> None:
    """Names of checks are those of before in the first database, and begin with any other's."""
    text = FACTS.format(databases='["main", "tenant_*"]')
    names = ("tables", "non_negative", "row_count")
    assert placed(tmp_path, text) == [
        *((f"purse.{name}", "main", "purse") for name in names),
        *((f"tenant_a.purse.{name}", "tenant_a", "purse") for name in names),
        *((f"tenant_b.purse.{name}", "tenant_b", "purse") for name in names),
    ]
    assert placed(tmp_path, FACTS.format(databases='"tenant_b"'))[0] == (
        *("tenant_b.purse.tables", "tenant_b", "purse"),
    )


def test_rows_that_count_are_those_of_each_database(tmp_path: Path) -> None:
    """`when` of a table is about the table of its databases, and not about others so called."""
    text = FACTS.format(databases='["tenant_a"]')
    text += "[tables.'tenant_b.purse']\nprimary_key = 'id'\nnon_negative = ['amount']\n"
    checks = load(tmp_path, DATABASES + text).checks
    left_out = {c.name: c.excluded for c in checks if isinstance(c, NonNegative)}
    assert left_out == {
        "tenant_a.purse.non_negative": ("rows of purse for which this is not true: amount <> 7",),
        "tenant_b.purse.non_negative": (),
    }


def test_a_name_says_of_which_database_a_table_is(tmp_path: Path) -> None:
    """The facts, and the checks, of `database.table` are of that table there."""
    text = """
[tables.purse]
primary_key = "id"
[tables."tenant_a.purse"]
primary_key = "number"
[[checks]]
name = "amounts"
kind = "non_negative"
table = "tenant_a.purse"
columns = ["amount"]
"""
    assert placed(tmp_path, text) == [
        ("purse.tables", "main", "purse"),
        ("purse.row_count", "main", "purse"),
        ("tenant_a.purse.tables", "tenant_a", "purse"),
        ("tenant_a.purse.row_count", "tenant_a", "purse"),
        ("amounts", "tenant_a", "purse"),
    ]
    (check,) = (c for c in load(tmp_path, DATABASES + text).checks if isinstance(c, NonNegative))
    assert check.primary_key == "number"


def test_a_check_is_stated_once_for_several_databases(tmp_path: Path) -> None:
    """So is a check, which is filled in by the facts of each database."""
    text = FACTS.format(databases='["main", "tenant_a"]') + REFERENCE
    text += 'table = "purse"\nparent = "purse"\ndatabases = ["main", "tenant_a"]\n'
    found = [c for c in load(tmp_path, DATABASES + text).checks if isinstance(c, Reference)]
    assert [(c.name, c.database, c.primary_key) for c in found] == [
        ("spending.purse", "main", "id"),
        ("tenant_a.spending.purse", "tenant_a", "id"),
    ]
    assert all(check.relations for check in found)


def test_a_table_of_another_database_is_read_by_its_schema(tmp_path: Path) -> None:
    """On the same server, in a statement of the check's own database; its facts are its own."""
    text = FACTS.format(databases='["main"]') + "[tables.'tenant_a.spending']\nprimary_key = 'n'\n"
    text += REFERENCE + 'table = "tenant_a.spending"\nparent = "main.purse"\n'
    (check,) = (c for c in load(tmp_path, DATABASES + text).checks if isinstance(c, Reference))
    told = (check.database, check.table, check.parent, check.primary_key, check.parent_primary_key)
    assert told == ("tenant_a", "spending", "main_schema.purse", "n", "id")


def test_rows_that_count_are_those_of_a_table_that_another_database_reads(tmp_path: Path) -> None:
    """Its `when` holds for whoever reads it, by the name of its database or of its schema."""
    text = FACTS.format(databases='["main", "tenant_b"]')
    text += "[tables.'tenant_a.spending']\nprimary_key = 'n'\n"
    text += """
[relations.purses]
database = "tenant_a"
select = "SELECT id FROM main_schema.purse"
primary_key = "id"
non_negative = ["id"]
"""
    for number, parent in enumerate(
        ("main.purse", "main_schema.purse", "purses", "b_schema.purse")
    ):
        text += REFERENCE.replace("spending.purse", f"r{number}")
        text += f'table = "tenant_a.spending"\nparent = "{parent}"\nparent_primary_key = "id"\n'
    checks = {c.name: c for c in load(tmp_path, DATABASES + text).checks}
    out = "rows of main_schema.purse for which this is not true: amount <> 7"
    assert checks["r0"].excluded == checks["r1"].excluded == (out,)
    assert checks["r2"].excluded == (f"in purses: {out}",)
    assert checks["r3"].excluded == ()  # on another server that name is another table's


def test_key_rules_hold_in_each_database_of_their_table(tmp_path: Path) -> None:
    """An interface writes into the table of each tenant, and of those alone that are stated."""
    rule = """
[[interfaces]]
method = "POST"
route = "/pay"
key = "required"
table = "{table}"
column = "code"
format = "{{int}}"
"""
    text = FACTS.format(databases='["main", "tenant_*"]') + rule.format(table="purse")
    assert [each for each in placed(tmp_path, text) if "key_format" in each[0]] == [
        ("purse.key_format.code", "main", "purse"),
        ("tenant_a.purse.key_format.code", "tenant_a", "purse"),
        ("tenant_b.purse.key_format.code", "tenant_b", "purse"),
    ]
    text = "[tables.'tenant_b.purse']\nprimary_key = 'id'\n" + rule.format(table="tenant_b.purse")
    assert placed(tmp_path, text)[-1] == (*("tenant_b.purse.key_format.code", "tenant_b", "purse"),)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            FACTS.format(databases='["tenent_a"]'),
            (
                "tables.purse.databases: no database is named tenent_a;"
                " the nearest existing name is tenant_a"
            ),
        ),
        (
            FACTS.format(databases='["main"]\ndatabase = "main"'),
            "tables.purse: database and databases are both stated",
        ),
        (
            FACTS.format(databases='["*"]') + "[tables.'tenant_a.purse']\nprimary_key = 'id'\n",
            'tables."tenant_a.purse": purse states facts of purse of tenant_a, too',
        ),
        (
            "[tables.'tenant_a.purse']\nprimary_key = 'id'\ndatabase = 'main'\n",
            'tables."tenant_a.purse".database: the name says that the database is tenant_a',
        ),
        (
            REFERENCE + "table = 'tenant_a.t'\nparent = 'tenant_b.purse'\nprimary_key = 'id'\n"
            "parent_primary_key = 'id'\n",
            "checks[0].parent: purse is of database tenant_b, which is on another server",
        ),
        (
            "[relations.rich]\nselect = 'SELECT id FROM t'\nprimary_key = 'id'\n"
            "database = 'tenant_a'\n" + REFERENCE + "table = 'main.t'\n"
            "parent = 'tenant_a.rich'\nprimary_key = 'id'\nparent_primary_key = 'id'\n",
            "checks[0].parent: rich is a relation of database tenant_a: a table is read there",
        ),
        (
            REFERENCE + "table = 'tenant_a.t'\nparent = 't'\ndatabase = 'main'\n",
            "checks[0].table: is of database tenant_a, not of main",
        ),
        (
            REFERENCE + "table = 't'\nparent = 't'\ndatabases = ['nobody']\n",
            "checks[0].databases: no database is named so",
        ),
        (
            REFERENCE + "table = 't'\nparent = 't'\ndatabases = 5\n",
            "checks[0].databases: names of databases, or patterns with *",
        ),
        (
            REFERENCE + "table = 't'\nparent = 't'\ndatabases = ['main']\ndatabase = 'main'\n",
            "checks[0]: database and databases are both stated",
        ),
    ],
)
def test_what_does_not_fit_together_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    """Each mistake is told once, at its place."""
    found = mistakes(tmp_path, DATABASES + text)
    assert [each for each in found if "second check is named" not in each] == [expected]


@pytest.mark.parametrize(
    ("databases", "stated", "noted"),
    [
        ('["tenant_b"]', "table = 'purse'", "tenant_b"),
        ('["tenant_*"]', "table = 'purse'", "tenant_a"),
        ('["tenant_*"]', "table = 'purse'\ndatabase = 'tenant_b'", None),
        ('["tenant_*"]', "table = 'purse'\ndatabases = ['tenant_*']", None),
        ('["tenant_*"]', "table = 'tenant_b.purse'", None),
        ('["main", "tenant_*"]', "table = 'purse'", None),
        ('["tenant_*"]', "table = 'orders'", None),
    ],
)
def test_a_database_by_default_is_noted_unless_it_is_the_first(
    tmp_path: Path, databases: str, stated: str, noted: str | None
) -> None:
    """A check that names no database, of a table configured for others only, is easily misread."""
    check = "[[checks]]\nname = 'few'\nkind = 'row_count'\nat_least = 1\n"
    found = load(tmp_path, DATABASES + FACTS.format(databases=databases) + check + stated).notes
    told = (
        f'checks[0].database of "few": not set; the check runs on {noted}, the first database'
        " for which purse is configured, and on no other"
    )
    assert [each.told for each in found] == ([told] if noted else [])
