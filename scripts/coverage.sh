#!/usr/bin/env bash
# Runs every test and reports which lines and branches ran, also in processes that the tests start; run by make.
# What Lambda functions run on the local AWS is not measured: they start with an environment of their own.
set -uo pipefail
cd "$(dirname "$0")/.."
# Compiled modules are kept: otherwise each of the many processes compiles what it imports again.
unset PYTHONDONTWRITEBYTECODE
export COVERAGE_FILE="$PWD/.coverage/data"
rm -rf .coverage
mkdir .coverage

sources="$PWD/lambda/promoter,$PWD/infra,$PWD/local,$PWD/cli"
.venv/bin/coverage run --source "$sources" -m pytest --numprocesses auto --maxprocesses 4 "$@"
status=$?
.venv/bin/coverage combine --quiet
echo "== what is deployed"
.venv/bin/coverage report --omit "local/*,cli/*"
echo "== the command line"
.venv/bin/coverage report --include "cli/*"
echo "== the local AWS"
.venv/bin/coverage report --include "local/*"
.venv/bin/coverage html --quiet --directory .coverage/html && echo "== line by line: .coverage/html/index.html"
exit $status
