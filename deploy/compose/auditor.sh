#!/bin/sh
# Makes the worker's account, once, when MariaDB's container makes its data: it may read the ledger and nothing else.
set -eu
password=$(sed "s/[\\\\']/\\\\&/g" "${SECRETS:-/run/secrets}/ledger-password")
MYSQL_PWD=$MARIADB_ROOT_PASSWORD mariadb --user=root <<SQL
CREATE USER 'auditor'@'%' IDENTIFIED BY '$password';
GRANT SELECT ON ledger.* TO 'auditor'@'%';
SQL
