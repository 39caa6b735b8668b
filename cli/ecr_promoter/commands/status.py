"""`status` and `cancel`: one promotion."""

from __future__ import annotations

from urllib.parse import quote

import click

from ecr_promoter import exits
from ecr_promoter.api.connection import connect
from ecr_promoter.durations import Duration
from ecr_promoter.exits import Refused, UsageMistake
from ecr_promoter.following import follow
from ecr_promoter.options import command
from ecr_promoter.output import promotions
from ecr_promoter.output.show import show
from ecr_promoter.settings import Settings

STATUS = """
ecr-promoter status 6c1f0a52-6f0e-4b5c-9d5e-3f8f6f0c2d11
ecr-promoter status 6c1f0a52-6f0e-4b5c-9d5e-3f8f6f0c2d11 --wait --timeout 30m
ecr-promoter status 6c1f0a52-6f0e-4b5c-9d5e-3f8f6f0c2d11 --query 'reasons[].vulnerability' --output text
"""
CANCEL = """
ecr-promoter cancel 6c1f0a52-6f0e-4b5c-9d5e-3f8f6f0c2d11
"""


@command("status", STATUS, short_help="Show one promotion.")
@click.argument("promotion_id")
@click.option("--wait", is_flag=True, help="Follow the promotion until it has ended.")
@click.option("--timeout", type=Duration(), help="Follow the promotion for so long at most (implies --wait).")
def status(settings: Settings, *, promotion_id: str, wait: bool, timeout: int | None) -> int:
    """Show how the promotion PROMOTION_ID ended, or what it waits for.

    The exit code is that of its outcome: 0 promoted, 3 refused, 4 failed, 5 waiting or running.
    """
    client = connect(settings)
    document = client.call("GET", path_of(promotion_id))
    if wait or timeout is not None:
        document = follow(client, settings, {"promotionId": promotion_id} | document, timeout=timeout)
    show(settings, document, promotions.record)
    return exits.code_of(document.get("outcome"))


@command("cancel", CANCEL, short_help="Give up a promotion that waits.")
@click.argument("promotion_id")
def cancel(settings: Settings, *, promotion_id: str) -> int:
    """Give up the promotion PROMOTION_ID, which waits. Its requester may, and operators.

    The exit code is 0 if it is cancelled now or was before, 3 if it has ended otherwise.
    """
    try:
        document = connect(settings).call("DELETE", path_of(promotion_id))
    except Refused as refused:
        if (refused.document or {}).get("code") != "cancelled":
            raise
        document = refused.document
    show(settings, {"promotionId": promotion_id} | document, promotions.record)
    return exits.DONE


def path_of(promotion_id: str) -> str:
    """Return the path of a promotion. Raises UsageMistake for what would be the path of something else."""
    if promotion_id in ("", ".", ".."):
        raise UsageMistake(f"{promotion_id!r} is not a promotionId. Name one; `ecr-promoter list` shows them.")
    return f"/promotions/{quote(promotion_id, safe='')}"
