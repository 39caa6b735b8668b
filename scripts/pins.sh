#!/usr/bin/env bash
# Resolves every pin anew: the function's with hashes, the others by version. Review the diff.
set -euo pipefail
.venv/bin/python -m pip install --quiet pip-tools==7.6.2
compile=(.venv/bin/python -m piptools compile --quiet --upgrade --strip-extras
         --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --no-header)
"${compile[@]}" --generate-hashes --output-file=lambda/requirements.txt lambda/requirements.in
"${compile[@]}" --output-file=requirements.txt requirements.in
"${compile[@]}" --output-file=requirements-dev.txt requirements-dev.in
PATH="$PWD/.venv/bin:$PATH" .venv/bin/npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
