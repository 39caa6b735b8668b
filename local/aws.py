"""How clients reach a running local AWS: its address, its credentials and its control routes."""

from __future__ import annotations

import json
import os
import shlex
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

# The credentials of the account's root user, as ministack is configured with them.
ACCOUNT_ID = "123456789012"
ACCESS_KEY_ID = "LOCALADMIN"
SECRET_ACCESS_KEY = "local-admin-secret"

LOOPBACK = "127.0.0.1"
CONTROL_WITHIN = 30.0  # seconds for an answer of a control route
# urllib's default would use the proxy that the environment names.
WITHOUT_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class LocalAws:
    """The address of a local AWS and its administrator's credentials. `registry` is host:port for docker."""

    endpoint_url: str
    registry: str
    region: str
    account_id: str = ACCOUNT_ID
    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = SECRET_ACCESS_KEY

    @classmethod
    def load(cls, directory: Path) -> LocalAws:
        """Return the local AWS that was started in a directory. Raises FileNotFoundError if there is none."""
        return cls(**json.loads((directory / "aws.json").read_text()))

    def save(self, directory: Path) -> None:
        """Write the file that `load` reads."""
        (directory / "aws.json").write_text(json.dumps(asdict(self), indent=2))

    def client(self, service: str, **settings: Any) -> Any:
        """Return a boto3 client that signs as the administrator, or with the credentials in `settings`."""
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

    def control(self, method: str, path: str, document: Any = None) -> Any:
        """Call a control route, as `POST scans`, and return its JSON answer. Raises urllib.error.HTTPError."""
        body = None if document is None else json.dumps(document).encode()
        url, headers = f"{self.endpoint_url}/_local/{path}", {"content-type": "application/json"}
        request = urllib.request.Request(url, body, headers, method=method)
        with WITHOUT_PROXY.open(request, timeout=CONTROL_WITHIN) as response:
            return json.load(response)

    def environment(self) -> dict[str, str]:
        """Return the environment variables that lead the AWS CLI, the SDKs and the CDK to this local AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "REGISTRY": self.registry,
            **past_proxies(os.environ),
        }


def past_proxies(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment's NO_PROXY with this machine added: no proxy can reach a local AWS."""
    known = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = ",".join(dict.fromkeys([*filter(None, known.split(",")), LOOPBACK]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def write_env(directory: Path, extra: Mapping[str, str]) -> Path:
    """Write the file `env` for a shell to source: the variables of this directory's local AWS, and `extra`."""
    variables = LocalAws.load(directory).environment() | dict(extra)
    path = directory / "env"
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()))
    return path
