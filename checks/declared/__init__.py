"""What the configuration declares of tables and keys, and the checks that follow from it."""
