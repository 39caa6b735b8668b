"""Limits and patterns that the function, its deployment and the policy's checks share: each stands here only."""

from __future__ import annotations

MAX_TAGS = 40
"""Target tags of one promotion.

Each tag costs a PutImage call and two of the 100 items that a transaction may have (Amazon DynamoDB API reference,
TransactWriteItems).
"""

LONGEST_TAG = 128
"""Characters of a tag (OCI distribution spec, "Pulling manifests")."""

ACCOUNT_ID = r"[0-9]{12}"
"""The pattern of an AWS account id, and so of an ECR registry's (Amazon ECR API reference, registryId)."""

REPOSITORY_NAME = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
"""The pattern of a repository's name (Amazon ECR API reference, CreateRepository)."""

SHORTEST_REPOSITORY_NAME, LONGEST_REPOSITORY_NAME = 2, 256
"""Characters of a repository's name (the same page)."""

PUT_IMAGE_A_SECOND = 10
"""PutImage calls that Amazon ECR serves an account in a Region, pushes included (Amazon ECR service quotas)."""

PATIENCE_SECONDS = 10
"""How long a promotion waits for others: once for its lease, and once for its share of PutImage's quota."""

CONNECT_SECONDS, READ_SECONDS, CALL_TRIES = 2, 6, 3
"""The time-outs and tries of a call to AWS. API Gateway waits 30 s at most: all tries of a slow call must fit."""

LONGEST_CALL_SECONDS = CALL_TRIES * (CONNECT_SECONDS + READ_SECONDS) + 1 + 2
"""After this time no part of a call is still under way.

The pauses before the second and the third try last 1 s and 2 s at most (AWS SDKs reference guide, "Retry
behavior").
"""
