#!/usr/bin/env bash
# Runs the checks that are named, `lint` and `tests`, up to the first that fails; run by make.
set -uo pipefail
cd "$(dirname "$0")/.."
# Compiled modules are kept: otherwise each of the many processes compiles what it imports again.
unset PYTHONDONTWRITEBYTECODE
SECONDS=0
code=(app.py bench cli infra lambda local scripts tests)

taken() {
    echo "$((SECONDS / 60)) min $((SECONDS % 60)) s"
}

# Ctrl-C: each command has ended what it started before this says so.
trap 'echo "== interrupted after $(taken)" >&2; exit 130' INT TERM

# A name, how to run only this again, and the command if it is another.
step() {
    local name=$1 again=$2
    shift 2
    [ $# -gt 0 ] || set -- $again
    echo "-- $name"
    "$@" && return
    echo "== failed after $(taken): $name. Run only this again: $again" >&2
    exit 1
}

lint() {
    step style ".venv/bin/ruff check ${code[*]}"
    step format ".venv/bin/ruff format --check ${code[*]}"
    step spelling .venv/bin/codespell
    step workflows ".venv/bin/zizmor --offline --quiet --persona pedantic .github action.yml"
    step "imports between packages" ".venv/bin/python .venv/bin/lint-imports --no-cache --no-logo"
    step docs "make docs"
    step "types (15 s the first time)" ".venv/bin/python -m mypy"
}

# One process for each core, four at most; tests/conftest.py says which tests stay together.
tests() {
    step tests ".venv/bin/pytest --last-failed" .venv/bin/pytest --numprocesses auto --maxprocesses 4
}

[ $# -gt 0 ] || set -- none
for each in "$@"; do
    case $each in
    lint | tests) ;;
    *) echo "== there is no check $each: name lint, tests or both" >&2 && exit 2 ;;
    esac
done
for each in "$@"; do
    "$each"
done
echo "== $* passed in $(taken)"
