"""`put-image`: takes and gives what `aws ecr put-image` does, with the policy and the ledger behind it."""

from __future__ import annotations

from typing import Any

import click

from ecr_promoter import exits, keys, put_image_input, put_image_output
from ecr_promoter.api.connection import connect
from ecr_promoter.commands import outcomes
from ecr_promoter.exits import CommandError, Failed, UsageMistake
from ecr_promoter.following import follow
from ecr_promoter.options import command
from ecr_promoter.settings import Settings

EXAMPLES = """
# what `aws ecr put-image` would do, by the promoter
ecr-promoter put-image --repository-name team/web --image-tag prod --image-manifest file://manifest.json

# the input from a file; options override it
ecr-promoter put-image --generate-cli-skeleton > input.json
ecr-promoter put-image --cli-input-json file://input.json --image-tag v1.4.0
"""


@command("put-image", EXAMPLES, short_help="Put an image as `aws ecr put-image` does.")
@click.option("--registry-id", metavar="ACCOUNT", help="The account of the registry, if not the service's own.")
@click.option("--repository-name", metavar="NAME", help="The repository.")
@click.option("--image-manifest", metavar="TEXT|file://…", help="The manifest; its bytes are put as they are.")
@click.option(
    "--image-manifest-media-type", metavar="TYPE", help="For a manifest that has no mediaType of its own."
)
@click.option("--image-tag", metavar="TAG", help="The tag to put. It is required here.")
@click.option("--image-digest", metavar="DIGEST", help="The digest that the manifest must have.")
@click.option("--cli-input-json", metavar="JSON|file://…", help="The whole input; options override what is in it.")
@click.option(
    "--generate-cli-skeleton",
    is_flag=False,
    flag_value="input",
    type=click.Choice(("input", "output")),
    help="Print an input to fill in, or a sample of the output, and send nothing.",
)
@click.option("--no-paginate", is_flag=True, hidden=True, expose_value=False)
@click.option("--no-cli-pager", is_flag=True, hidden=True, expose_value=False)
@outcomes.waiting_options
@outcomes.key_option
def put_image(
    settings: Settings,
    *,
    cli_input_json: str | None,
    generate_cli_skeleton: str | None,
    waiting: outcomes.Waiting,
    idempotency_key: str | None,
    **options: str | None,
) -> int:
    """Put an image with the options, input and output of `aws ecr put-image`.

    The policy and the gate decide, and the ledger records. A tag that is on the image already is a success.
    """
    if generate_cli_skeleton == "input":
        put_image_output.write(settings, put_image_input.skeleton())
        return exits.DONE
    asked = put_image_input.read(options, cli_input_json)
    if generate_cli_skeleton == "output":
        put_image_output.show(settings, put_image_output.skeleton())
        return exits.DONE
    if "imageTag" not in asked:
        raise UsageMistake("--image-tag is required: the service moves tags, and puts no image without one.")
    key = keys.key_for(idempotency_key)
    try:
        image = put(settings, asked, key, waiting)
    except CommandError as error:
        error.document = None  # where the AWS CLI fails, it prints nothing to stdout
        raise
    put_image_output.show(settings, {"image": image})
    return exits.DONE


def put(settings: Settings, asked: dict[str, Any], key: str, waiting: outcomes.Waiting) -> dict[str, Any]:
    """Send the input, wait if that is wanted, and return PutImage's `image`."""
    client = connect(settings)
    answer = client.call("POST", "/promotions", body=asked | waiting.members(), key=key)
    if answer.get("outcome") != "WAITING":
        return put_image_output.of_answer(answer)
    record = follow(client, settings, answer, timeout=waiting.timeout)
    if error := outcomes.error_of(record):
        raise error
    if exits.code_of(outcome := record.get("outcome")) != exits.DONE:
        raise Failed(f"The promotion ended as {outcome}, which this version of the command line does not know.")
    return put_image_output.of_record(record, asked["imageManifest"])
