"""Builds the real adapters, once and on first use."""

from __future__ import annotations

import functools
import json

import boto3
from botocore.config import Config

from promoter.ecr import EcrRegistry
from promoter.policy import Policy, load
from promoter.settings import Settings

# API Gateway waits 30 s at most: three tries of a slow call have to fit in.
CLIENT = Config(connect_timeout=2, read_timeout=6, retries={"mode": "standard", "max_attempts": 3})


@functools.cache
def policy() -> Policy:
    """Load the compiled policy that ships beside the code."""
    settings = Settings.read()
    return load(json.loads(settings.policy_file.read_bytes()), registry_id=settings.registry_id)


@functools.cache
def registry() -> EcrRegistry:
    """Connect to Amazon ECR in the function's own Region."""
    return EcrRegistry(boto3.client("ecr", config=CLIENT))
