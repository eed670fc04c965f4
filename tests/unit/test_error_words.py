"""What of a server's error may be shown: names of its own and of the schema, no value of a row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.client.error_words import without_values

VALUE = "k3y-of-a-customer"

NAMES = {
    "Unknown system variable 'tx_isolation'": None,
    "Variable 'old_mode' can't be set to the value of '{v}'": (
        "Variable 'old_mode' can't be set to the value of '…'"
    ),
    "SESSION variable 'sql_log_bin' is read-only": None,
    "Unknown collation: 'utf8mb4_none'": None,
    "Unknown character set: 'latin9'": None,
    "Unknown or incorrect time zone: 'Mars/Base'": None,
    "Unknown storage engine 'NDB'": None,
    "The table '/tmp/#sql_1a_0' is full": None,
    "Table './ledger/movement' is marked as crashed and should be repaired": None,
    "Incorrect key file for table 'movement'; try to repair it": None,
    "Column 'amount' cannot be null": None,
    "Out of range value for column 'amount' at row 3": None,
    "Data too long for column 'ref' at row 1": None,
    "This version of MySQL doesn't yet support 'LIMIT in subquery'": None,
    "The SELECT would examine more than MAX_JOIN_SIZE rows": None,
    "Duplicate entry '{v}' for key 'uk_ref'": "Duplicate entry '…' for key 'uk_ref'",
    "Duplicate entry '{v}' for key '<group_key>'": "Duplicate entry '…' for key '<group_key>'",
    "Incorrect integer value: '{v}' for column `ledger`.`movement`.`purse` at row 1": (
        "Incorrect integer value: '…' for column `ledger`.`movement`.`purse` at row 1"
    ),
    "Incorrect string value: '{v}' for column 'ref' at row 12": (
        "Incorrect string value: '…' for column 'ref' at row 12"
    ),
    "Truncated incorrect DOUBLE value: '{v}'": "Truncated incorrect DOUBLE value: '…'",
    "XPATH syntax error: '~{v}'": "XPATH syntax error: '…'",
    "Illegal double '{v}' value found during parsing": "Illegal double '…'",
    "Cannot convert string '{v}' from binary to utf8mb4": "Cannot convert string '…'",
    "Incorrect datetime value: '{v}' for function str_to_date": "Incorrect datetime value: '…'",
    'Invalid JSON text in argument 1 to function json_extract: "{v}" at position 3.': (
        "Invalid JSON text in argument 1 to function json_extract: '…'"
    ),
    "You have an error in your SQL syntax; right syntax to use near '{v}' at line 1": (
        "You have an error in your SQL syntax; right syntax to use near '…'"
    ),
    "BIGINT UNSIGNED value is out of range in '(`l`.`m`.`a` - `l`.`m`.`b`)'": (
        "BIGINT UNSIGNED value is out of range in '…' of `l`.`m`.`a`, `l`.`m`.`b`"
    ),
    "BIGINT value is out of range in '(9223372036854775807 + 1)'": (
        "BIGINT value is out of range in '…'"
    ),
    "DOUBLE value is out of range in 'pow('{v}',`l`.`m`.`a`)'": (
        "DOUBLE value is out of range in '…'"
    ),
}
"""Messages of both servers, and what is shown of each; None for all of it."""

HOSTILE = st.lists(
    st.sampled_from(
        ("'", '"', "`", "\\", "\n", " at row 1", "' for key '", "Unknown table '", "for column `")
    ),
    max_size=8,
).map("".join)


CODES = {"Duplicate entry": 1062, "Incorrect integer": 1366, "Incorrect string": 1366}


def code_of(message: str) -> int:
    """The number of the error, where it matters; 1292 is that of most others with a value."""
    return next((code for words, code in CODES.items() if message.startswith(words)), 1292)


@pytest.mark.parametrize("message", NAMES)
def test_names_are_shown_and_values_are_not(message: str) -> None:
    """What a person needs to find the place is there, and nothing that a customer wrote."""
    shown = without_values(code_of(message), message.replace("{v}", VALUE))
    assert shown == (NAMES[message] or message)
    assert VALUE not in shown


@given(
    message=st.sampled_from([each for each in NAMES if "{v}" in each]),
    before=HOSTILE,
    after=HOSTILE,
)
def test_no_value_feigns_a_name(message: str, before: str, after: str) -> None:
    """A value that holds quotes, and words of a message, is hidden as any other is."""
    said = message.replace("{v}", before + VALUE + after)
    assert VALUE not in without_values(code_of(message), said)
