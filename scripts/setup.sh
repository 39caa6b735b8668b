#!/usr/bin/env bash
# Makes .venv and node_modules from the pins. Needs Python 3.11 to 3.14 and nothing else; run by make.
set -euo pipefail
python=${1:-python3}

"$python" - <<'PY' || exit 1
import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 14):
    sys.exit(f"Python 3.11 to 3.14 is needed, this is {sys.version.split()[0]}: make PYTHON=python3.12 ...")
PY

echo "== set-up, once: a few minutes"
echo "-- 1/3 virtual environment"
if ! "$python" -m venv --clear .venv 2>/dev/null; then
    # Debian ships venv in a package of its own.
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
        "$python" -m venv --clear .venv
    else
        echo "python3 cannot make a virtual environment; on Debian: sudo apt-get install python3-venv" >&2
        exit 1
    fi
fi

echo "-- 2/3 Python packages"
pip=(.venv/bin/python -m pip --disable-pip-version-check --no-input install --progress-bar off)
# The function's own packages come with hashes, which pip wants for all of a call or for none.
"${pip[@]}" --require-hashes -r lambda/requirements.txt | { grep --line-buffered '^Collecting' || true; }
"${pip[@]}" -r requirements-dev.txt | { grep --line-buffered '^Collecting' || true; }

echo "-- 3/3 CDK command line"
PATH="$PWD/.venv/bin:$PATH" .venv/bin/npm ci --no-audit --no-fund --loglevel=error
echo "== set up"
