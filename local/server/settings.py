"""The environment variables of the emulator. ministack reads them when it is imported."""

from __future__ import annotations

from pathlib import Path

from local.aws import ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY

# Nothing else of the caller's environment reaches the emulator or the functions that it runs. SSL_CERT_FILE: the
# certificates of an issuer of tokens on this machine, which no public authority knows.
KEPT = ("LAMBDA_ASYNC_RETRY_BASE_SECONDS", "LANG", "LC_ALL", "PATH", "SSL_CERT_FILE")


def emulator_settings(port: int, region: str, directory: Path) -> dict[str, str]:
    """Return the variables with which ministack serves one port and keeps its files in one directory."""
    return {
        "AUTH": "true",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
        "BIND_HOST": "127.0.0.1",
        # A socket that does not exist: no Docker.
        "DOCKER_HOST": f"unix://{directory / 'no-docker.sock'}",
        "GATEWAY_PORT": str(port),
        # Not the user's home: the functions must not read the user's ~/.aws.
        "HOME": str(directory),
        "IOT_MTLS_ENABLED": "0",
        "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "300",
        "LAMBDA_EXECUTOR": "local",
        "LOG_LEVEL": "WARNING",
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_REGION": region,
        "S3_DATA_DIR": str(directory / "s3"),
        "SFTP_ENABLED": "0",
        "TMPDIR": str(directory / "tmp"),
        "TZ": "UTC",
    }
