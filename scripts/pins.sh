#!/usr/bin/env bash
# Resolves all pins again, with hashes, for Python 3.11 to 3.14 on Linux and macOS. Review the diff.
# KEEP=1 keeps every version that the inputs still allow: use it after adding a line to an .in file.
set -euo pipefail
eval "$(.venv/bin/python infra/pip_settings.py)"
# A local folder has only some files of a version, so hashes would be missing.
unset UV_FIND_LINKS
UV_INDEX=$(tr ' ' '\n' <<<"${UV_INDEX:-}" | grep -v '^file:' | paste -sd ' ' || true)
export UV_INDEX

upgrade=--upgrade
[ -z "${KEEP:-}" ] || upgrade=

# The files have no index addresses. Their header has the command, from which Dependabot takes its options.
for pins in lambda/requirements requirements cli/requirements requirements-dev; do
    echo "-- $pins.txt"
    .venv/bin/uv pip compile --quiet $upgrade --universal --python-version 3.11 --generate-hashes \
        --output-file $pins.txt $pins.in
done
PATH="$PWD/.venv/bin:$PATH" .venv/bin/npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
