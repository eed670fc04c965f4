"""The kinds of checks, each a file or a folder."""
