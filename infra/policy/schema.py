"""`python -m infra.policy.schema`: prints the JSON Schema of promotions.yaml; `make schema` writes the file."""

from __future__ import annotations

import json

from infra.policy.model import PolicyModel


def text() -> str:
    """Return docs/reference/policy.schema.json: JSON Schema 2020-12, made of the model."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return json.dumps(schema | PolicyModel.model_json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    print(text(), end="")
