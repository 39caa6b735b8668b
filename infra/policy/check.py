"""`python -m infra.policy.check FILE`: checks a policy without AWS; `make policy` calls it."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.policy.file import PolicyError, read


def main(file: str) -> int:
    """Print what the policy says, or all its mistakes; return the exit code."""
    try:
        rules = read(Path(file)).rules
    except PolicyError as error:
        print(error, file=sys.stderr)
        return 1
    for rule in rules:
        tags = ", ".join([*rule.to, *(f"/{pattern}/" for pattern in rule.to_matching)])
        repositories, source = ", ".join(rule.repositories), rule.from_ or "any source"
        print(f"{rule.name}: on {rule.on}, {repositories} from {source} to {tags}")
    print(f"{file}: {len(rules)} rules, no mistakes")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
