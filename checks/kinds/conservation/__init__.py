"""How `conservation` adds up: the statements that sum groups of rows, and the check."""
