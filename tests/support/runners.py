"""A machine on which the scripts of CI systems run: uvx finds this clone's command line there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[2]
COMMAND_LINE = PROJECT / "cli"
UVX = f"""#!/bin/sh
# In place of a download: what `uvx --from CLONE ecr-promoter` installs is this clone's own command line.
shift 3
PYTHONPATH={COMMAND_LINE} exec {sys.executable} -m ecr_promoter "$@"
"""

UV = """#!/bin/sh
# In place of a download: the Python of an environment runs what stands in for the command line, as uvx does.
echo "$@" >> "$0.log"
[ "$1" = venv ] || exit 0
for folder in "$@"; do :; done
mkdir -p "$folder/bin"
cat > "$folder/bin/python" <<END
#!/bin/sh
[ "\\$1 \\$2 \\$3" = "-P -m ecr_promoter" ] || exit 99
shift 3
exec $(dirname "$0")/uvx --from CLONE ecr-promoter "\\$@"
END
chmod +x "$folder/bin/python"
"""
"""What `uv venv` and `uv pip install` do."""


def answering(folder: Path, answer: Any, *, code: int = 0, told: str = "") -> str:
    """Return a `uvx` that keeps its arguments and variables, prints this answer, and ends with this exit code."""
    (folder / "answer").write_text(answer if isinstance(answer, str) else json.dumps(answer, indent=4))
    (folder / "told").write_text(told)
    return f"""#!{sys.executable}
import json, os, pathlib, sys
here = pathlib.Path({str(folder)!r})
(here / "arguments.json").write_text(json.dumps(sys.argv[1:]))
(here / "environment.json").write_text(json.dumps(dict(os.environ)))
sys.stderr.write((here / "told").read_text())
sys.stdout.write((here / "answer").read_text())
sys.exit({code})
"""


def asked(folder: Path) -> list[str]:
    """Return the arguments that the command line got, behind those of uvx."""
    arguments: list[str] = json.loads((folder / "arguments.json").read_text())
    return arguments[3:]


def run_script(
    shell: Sequence[str], script: str, folder: Path, uvx: str, environment: Mapping[str, str], uv: str = UV
) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder, with nothing in the environment but this; `uvx` is the script of that name.

    `uv` is beside it: it installs nothing, and leads to the same script.

    What it prints is in `stdout`, errors included.
    """
    tools = folder / "bin"
    tools.mkdir(exist_ok=True)
    for name, text in (("uvx", uvx), ("uv", uv)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.run(
        [shutil.which(shell[0]) or shell[0], *shell[1:], script],
        cwd=folder,
        env={"PATH": path, "HOME": str(folder), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=120,
    )
