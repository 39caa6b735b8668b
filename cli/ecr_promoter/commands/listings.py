"""`list`, `history` and `heads`: what the ledger has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ecr_promoter import exits, references
from ecr_promoter.api.client import Client
from ecr_promoter.api.connection import connect
from ecr_promoter.durations import AGO
from ecr_promoter.options import command
from ecr_promoter.output import heads as heads_view
from ecr_promoter.output import promotions
from ecr_promoter.output.show import show
from ecr_promoter.settings import Settings

LIST = """
ecr-promoter list team/web
ecr-promoter list --outcome WAITING
ecr-promoter list team/web --outcome REFUSED --since 7d --output json
ecr-promoter list team/web --digest sha256:… --caller 'arn:aws:sts::*:assumed-role/deployer/*'
"""
HISTORY = """
ecr-promoter history team/web prod
ecr-promoter history team/web prod --limit 1 --query 'promotions[0].caller' --output text
"""
HEADS = """
ecr-promoter heads team/web
ecr-promoter heads team/web prod --query 'heads[0].imageDigest' --output text
"""
OUTCOMES = ("PROMOTED", "UNCHANGED", "REFUSED", "FAILED", "WAITING")
PAGE = 100
"""The most that one page of the API holds."""

registry_option = click.option("--registry-id", metavar="ACCOUNT", help="The account, if not the service's own.")
limit_option = click.option(
    "--limit", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many to show at most."
)
since_option = click.option(
    "--since", type=AGO, metavar="TIME", help="Ended then or later: 7d for the last seven days, or a time."
)
until_option = click.option("--until", type=AGO, metavar="TIME", help="Ended before then.")


@command("list", LIST, short_help="List promotions.")
@click.argument("repository", required=False)
@registry_option
@click.option("--tag", metavar="TAG", help="Only promotions onto this tag.")
@click.option("--digest", metavar="DIGEST", help="Only promotions of this image.")
@click.option("--caller", metavar="ARN", help="Only what this caller asked for; * stands for any characters.")
@click.option("--outcome", type=click.Choice(OUTCOMES, case_sensitive=False), help="Only with this outcome.")
@since_option
@until_option
@limit_option
def list_promotions(
    settings: Settings,
    *,
    repository: str | None,
    registry_id: str | None,
    tag: str | None,
    digest: str | None,
    caller: str | None,
    outcome: str | None,
    since: str | None,
    until: str | None,
    limit: int,
) -> int:
    """List the promotions of REPOSITORY that ended, the newest first; with --outcome WAITING those that wait.

    Those that wait are listed for all repositories if none is named.
    """
    if repository is None and outcome != "WAITING":
        raise click.UsageError("Name a repository. Only --outcome WAITING lists those of all repositories.")
    asked = {
        **(references.place(repository, registry_id).members() if repository else {}),
        "imageTag": tag,
        "imageDigest": digest,
        "caller": caller,
        "outcome": outcome,
        "since": since,
        "until": until,
    }
    show(settings, read(connect(settings), "promotions", asked, limit), promotions.listed)
    return exits.DONE


@command("history", HISTORY, short_help="Show the time line of a tag.")
@click.argument("repository")
@click.argument("tag")
@registry_option
@since_option
@until_option
@limit_option
def history(
    settings: Settings,
    *,
    repository: str,
    tag: str,
    registry_id: str | None,
    since: str | None,
    until: str | None,
    limit: int,
) -> int:
    """Show where TAG of REPOSITORY was, since when, and who put it there, the newest first."""
    asked = {
        **references.place(repository, registry_id).members(),
        "imageTag": tag,
        "since": since,
        "until": until,
    }
    show(settings, read(connect(settings), "promotions", asked, limit), promotions.history)
    return exits.DONE


@command("heads", HEADS, short_help="Show where the tags are.")
@click.argument("repository")
@click.argument("tag", required=False)
@registry_option
@click.option("--limit", type=click.IntRange(1, 100_000), default=1_000, show_default=True, help="Tags at most.")
def heads(settings: Settings, *, repository: str, tag: str | None, registry_id: str | None, limit: int) -> int:
    """Show where the promoted tags of REPOSITORY are, by the ledger and by the registry."""
    asked = {**references.place(repository, registry_id).members(), "imageTag": tag}
    show(settings, read(connect(settings), "heads", asked, limit), heads_view.listed)
    return exits.DONE


def read(client: Client, name: str, asked: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Read pages until there are so many entries, or no more. A page may be empty and still not be the last."""
    entries: list[Any] = []
    token: str | None = None
    while True:
        wanted = min(limit - len(entries), PAGE)
        page = client.call("GET", f"/{name}", query={**asked, "limit": wanted, "nextToken": token})
        entries.extend(page[name])
        token = page.get("nextToken")
        if token is None or len(entries) >= limit:
            return {name: entries}
