"""`diff`: what differs between two images, read from Amazon ECR with the user's own rights."""

from __future__ import annotations

import click

from ecr_promoter import exits, references
from ecr_promoter.api import aws
from ecr_promoter.api.transport import Transport
from ecr_promoter.options import command
from ecr_promoter.output import differences
from ecr_promoter.output.show import show
from ecr_promoter.settings import Settings

EXAMPLES = """
# what would change if staging went to prod
ecr-promoter diff team/web prod staging

# two repositories, or digests
ecr-promoter diff team/web:prod release/web:v1.4.0
ecr-promoter diff team/web sha256:… sha256:…

# the findings that the new image brings
ecr-promoter diff team/web prod staging --query 'findings.onlySecond[].vulnerability' --output text
"""


@command("diff", EXAMPLES, short_help="Show what differs between two images.")
@click.argument("images", nargs=-1, required=True, metavar="REPOSITORY IMAGE IMAGE | IMAGE IMAGE")
@click.option("--registry-id", metavar="ACCOUNT", help="The account of the registry, if not your own.")
def diff(settings: Settings, *, images: tuple[str, ...], registry_id: str | None) -> int:
    """Compare two images: platforms, layers, labels, age and findings.

    An image is a tag or digest of REPOSITORY, or REPOSITORY:TAG or REPOSITORY@DIGEST. It reads Amazon ECR itself,
    with ecr:BatchGetImage, DescribeImages, GetDownloadUrlForLayer and DescribeImageScanFindings.
    """
    from ecr_promoter.images.comparing import compare
    from ecr_promoter.images.reading import Reader

    pairs = [(references.place(name, registry_id), image) for name, image in named(images)]
    session = aws.open_session(settings)
    reader = Reader(aws.client(session, "ecr", settings), Transport(settings))
    first, second = (reader.read(place, image) for place, image in pairs)
    show(settings, compare(first, second), differences.shown)
    return exits.DONE


def named(images: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    """Return the repository and the image id of both. Raises click.UsageError for another number of images."""
    if len(images) == 3:
        return [(images[0], references.image_id(each)) for each in images[1:]]
    if len(images) == 2:
        return [references.image(each) for each in images]
    raise click.UsageError("Name two images: REPOSITORY IMAGE IMAGE, or REPOSITORY:TAG REPOSITORY:TAG.")
