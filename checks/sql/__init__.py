"""SQL that means the same on MySQL, MariaDB and SQLite, and SQL for people."""
