"""The running local AWS, as its callers see it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

# The account's root user; ministack knows it by these.
ACCOUNT_ID = "123456789012"
ACCESS_KEY_ID = "LOCALADMIN"
SECRET_ACCESS_KEY = "local-admin-secret"


@dataclass(frozen=True)
class LocalAws:
    """Where a local AWS is and how its administrator signs. `registry` is host:port for docker clients."""

    endpoint_url: str
    registry: str
    region: str
    account_id: str = ACCOUNT_ID
    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = SECRET_ACCESS_KEY

    @classmethod
    def load(cls, directory: Path) -> LocalAws:
        """Return the one that was started in a directory. Raises FileNotFoundError if none was."""
        return cls(**json.loads((directory / "aws.json").read_text()))

    def save(self, directory: Path) -> None:
        """Write what `load` reads."""
        (directory / "aws.json").write_text(json.dumps(asdict(self), indent=2))

    def client(self, service: str, **settings: Any) -> Any:
        """Return a boto3 client signing as the administrator, or with the credentials given."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            **{
                "endpoint_url": self.endpoint_url,
                "region_name": self.region,
                "aws_access_key_id": self.access_key_id,
                "aws_secret_access_key": self.secret_access_key,
                "config": Config(retries={"total_max_attempts": 1}),
                **settings,
            },
        )

    def environment(self) -> dict[str, str]:
        """Return the variables with which the AWS CLI, the SDKs and the CDK find it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "REGISTRY": self.registry,
        }


def write_env(directory: Path, extra: Mapping[str, str]) -> Path:
    """Write `env`, to be read with `.` by a shell: the variables of the local AWS in this directory, and more."""
    variables = LocalAws.load(directory).environment() | dict(extra)
    path = directory / "env"
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))
    return path
