"""How `aggregate` works totals out and compares: the two sides, and the check."""
