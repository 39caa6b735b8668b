#!/usr/bin/env bash
# Resolves every pin anew, with hashes, for Python 3.11 to 3.14 on Linux and macOS. Review the diff.
# KEEP=1 changes no version that the inputs still allow: for a new line in an .in file.
set -euo pipefail
eval "$(.venv/bin/python infra/pip_settings.py)"
# A folder of this machine has only some of a version's files, so that hashes would be missing.
unset UV_FIND_LINKS
UV_INDEX=$(tr ' ' '\n' <<<"${UV_INDEX:-}" | grep -v '^file:' | paste -sd ' ' || true)
export UV_INDEX

upgrade=--upgrade
[ -z "${KEEP:-}" ] || upgrade=

# No address of an index is written. The header tells what wrote a file; Dependabot takes its options from there.
for pins in lambda/requirements requirements requirements-dev; do
    echo "-- $pins.txt"
    .venv/bin/uv pip compile --quiet $upgrade --universal --python-version 3.11 --generate-hashes \
        --output-file $pins.txt $pins.in
done
PATH="$PWD/.venv/bin:$PATH" .venv/bin/npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
