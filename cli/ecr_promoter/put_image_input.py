"""The input of PutImage from options and `--cli-input-json`, checked by botocore's own model of the operation."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ecr_promoter.exits import UsageMistake

TEXT, BYTES = "file://", "fileb://"


@functools.cache
def operation() -> Any:
    """Return PutImage as the installed botocore knows it."""
    import botocore.session

    return botocore.session.get_session().get_service_model("ecr").operation_model("PutImage")


def skeleton() -> Any:
    """Return an input to fill in."""
    from botocore.utils import ArgumentGenerator

    return ArgumentGenerator().generate_skeleton(operation().input_shape)


def read(options: Mapping[str, str | None], input_json: str | None) -> dict[str, Any]:
    """Return the members of the input: those of the options, then those of the JSON. Raises UsageMistake."""
    given = {member(name): loaded(name, value) for name, value in options.items() if value is not None}
    if input_json is None:
        missing = [option(name) for name in operation().input_shape.required_members if name not in given]
        if missing:
            raise UsageMistake(f"the following arguments are required: {', '.join(missing)}")
    else:
        given = from_json(loaded("cli_input_json", input_json)) | given
    check(given)
    return given


def from_json(text: str) -> dict[str, Any]:
    """Read the JSON of an input. Raises UsageMistake."""
    try:
        members = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageMistake(f"--cli-input-json is not JSON: {error}. It got: {text[:200]}") from error
    if not isinstance(members, dict):
        raise UsageMistake("--cli-input-json must be an object, as --generate-cli-skeleton prints it.")
    return members


def check(given: Mapping[str, Any]) -> None:
    """Raise UsageMistake for what the AWS CLI would not send either: unknown members, other types, no text."""
    from botocore.validate import ParamValidator

    report = ParamValidator().validate(dict(given), operation().input_shape)
    if report.has_errors():
        raise UsageMistake(f"Parameter validation failed: {report.generate_report()}")


def loaded(name: str, value: str) -> str:
    """Return the value, or the content of the file that it names: byte for byte, no newline is changed."""
    for prefix in (TEXT, BYTES):
        if value.startswith(prefix):
            # Path.expanduser would raise for a user whom this machine does not know.
            path = Path(os.path.expandvars(os.path.expanduser(value.removeprefix(prefix))))  # noqa: PTH111
            try:
                return path.read_bytes().decode("utf-8")
            except OSError as error:
                raise UsageMistake(f"{option(name)}: {value} cannot be read: {error.strerror}.") from error
            except UnicodeDecodeError as error:
                raise UsageMistake(f"{option(name)}: {value} is not UTF-8 text.") from error
    return value


def member(name: str) -> str:
    """Return the member of PutImage for the parameter of an option: `image_tag` is `imageTag`."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def option(name: str) -> str:
    """Return the option for a member or a parameter: `imageTag` and `image_tag` are `--image-tag`."""
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
    return f"--{words.replace('_', '-')}"
