"""`promote`: puts tags on an image, if the policy admits it."""

from __future__ import annotations

from typing import Any

import click

from ecr_promoter import keys, references
from ecr_promoter.api.connection import connect
from ecr_promoter.commands import outcomes
from ecr_promoter.options import command
from ecr_promoter.settings import Settings

EXAMPLES = """
# what the rule says
ecr-promoter promote team/web build-42 --to staging

# exactly the image that was tested, onto two tags, unless somebody else moved prod
ecr-promoter promote team/web staging@sha256:… --to prod --to v1.4.0 --expect prod=sha256:…

# as soon as the scan has ended, and the image passes the gate
ecr-promoter promote team/web build-42 --to staging --wait

# what would happen
ecr-promoter promote team/web staging --to prod --dry-run
"""


@command("promote", EXAMPLES, short_help="Put tags on an image.")
@click.argument("repository")
@click.argument("source")
@click.option("--to", "tags", multiple=True, metavar="TAG", help="A tag to put; left out: those of the rule.")
@click.option("--registry-id", metavar="ACCOUNT", help="The account of the registry, if not the service's own.")
@click.option(
    "--expect",
    multiple=True,
    metavar="TAG=DIGEST|none",
    help="Put nothing unless this tag is on this image now, or does not exist.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@outcomes.waiting_options
@outcomes.key_option
def promote(
    settings: Settings,
    *,
    repository: str,
    source: str,
    tags: tuple[str, ...],
    registry_id: str | None,
    expect: tuple[str, ...],
    dry_run: bool,
    waiting: outcomes.Waiting,
    idempotency_key: str | None,
) -> int:
    """Put tags on the image SOURCE of REPOSITORY, if a rule of the policy admits it.

    SOURCE is a tag, a digest, or TAG@DIGEST: then the tag must be on that digest.

    The exit code is 0 if the tags are there now, 3 if the promotion was refused, 4 if it failed, 5 if it still
    waits.
    """
    if dry_run and waiting.is_wanted:
        raise click.UsageError("A dry run does not wait. Leave out --dry-run, or --wait, --expires and --timeout.")
    body: dict[str, Any] = {
        **references.place(repository, registry_id).members(),
        "source": references.image_id(source),
        **({"imageTags": list(tags)} if tags else {}),
        **({"expectedDigests": references.expectations(expect)} if expect else {}),
        **({"dryRun": True} if dry_run else {}),
        **waiting.members(),
    }
    # Nothing is lost with the answer to a dry run, and it must not stand for the promotion that follows.
    key = None if dry_run and idempotency_key is None else keys.key_for(idempotency_key)
    return outcomes.ask(connect(settings), settings, "/promotions", body, key=key, waiting=waiting)
