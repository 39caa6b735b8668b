"""`rollback`: takes a promotion back, by its promotionId or by the tag that it moved."""

from __future__ import annotations

from typing import Any

import click

from ecr_promoter import keys, references
from ecr_promoter.api.client import Client
from ecr_promoter.api.connection import connect
from ecr_promoter.commands import outcomes
from ecr_promoter.commands.status import path_of
from ecr_promoter.exits import Refused
from ecr_promoter.options import command
from ecr_promoter.output.notes import note
from ecr_promoter.output.tables import short
from ecr_promoter.settings import Settings

EXAMPLES = """
# take back what put prod where it is now
ecr-promoter rollback team/web prod

# the same, but only if prod is still on the bad image
ecr-promoter rollback team/web prod --from sha256:…

# the same, as soon as the freeze is over
ecr-promoter rollback team/web prod --wait

# take back one promotion: all its tags, or one
ecr-promoter rollback 6c1f0a52-6f0e-4b5c-9d5e-3f8f6f0c2d11 --tag prod
"""


@command("rollback", EXAMPLES, short_help="Take a promotion back.")
@click.argument("subject", metavar="PROMOTION_ID|REPOSITORY")
@click.argument("tag", required=False)
@click.option(
    "--from", "digest", metavar="DIGEST", help="The image to take the tag back from.  [default: its head]"
)
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Only this tag of the promotion.")
@click.option("--registry-id", metavar="ACCOUNT", help="The account of the registry, if not the service's own.")
@click.option("--override", metavar="REASON", help="Operators: do it in spite of a freeze or a missing rule.")
@outcomes.waiting_options
@outcomes.key_option
def rollback(
    settings: Settings,
    *,
    subject: str,
    tag: str | None,
    digest: str | None,
    tags: tuple[str, ...],
    registry_id: str | None,
    override: str | None,
    waiting: outcomes.Waiting,
    idempotency_key: str | None,
) -> int:
    """Put tags back where they were before a promotion: a given one, or the last one of TAG in REPOSITORY.

    Only the last promotion of a tag can be taken back, and it is not gated again.
    """
    key = keys.key_for(idempotency_key)
    client = connect(settings)
    body: dict[str, Any] = {"override": {"reason": override}} if override else {}
    body |= waiting.members()
    if tag is None:
        if digest or registry_id:
            raise click.UsageError("--from and --registry-id belong to REPOSITORY TAG. Name the tag too.")
        path = f"{path_of(subject)}/rollback"
        body |= {"imageTags": list(tags)} if tags else {}
    else:
        if tags:
            raise click.UsageError("--tag belongs to a PROMOTION_ID. Here the tag is named already.")
        place, path = references.place(subject, registry_id), "/rollback"
        body |= {**place.members(), "imageTag": tag, "expectedDigest": digest or head_of(client, place, tag)}
    return outcomes.ask(client, settings, path, body, key=key, waiting=waiting)


def head_of(client: Client, place: references.Place, tag: str) -> str:
    """Return the image on which the ledger has a tag, and say which: it is what is taken back."""
    heads = client.call("GET", "/heads", query={**place.members(), "imageTag": tag})["heads"]
    if not heads:
        raise Refused(
            f"The ledger has no tag {tag} in {place.name}. `ecr-promoter heads {place.name}` lists its tags."
        )
    digest = str(heads[0]["imageDigest"])
    note(f"taking {place.name}:{tag} back from {short(digest)}")
    return digest
