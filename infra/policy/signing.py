"""The key `signed` of promotions.yaml: true, false, or the signing profiles that count."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from infra.policy.shape import STRICT
from infra.policy.text import shown
from promoter.domain.limits import ACCOUNT_ID

# SigningProfileArn, Amazon ECR API reference. DescribeImageSigningStatus answers this ARN, which names the profile
# without a version; ARNs are compared literally.
PROFILE = rf"arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:{ACCOUNT_ID}:/signing-profiles/[a-zA-Z0-9_]{{2,}}"
LONGEST = 200


def _profile(text: str) -> str:
    if re.fullmatch(PROFILE, text) and len(text) <= LONGEST:
        return text
    if re.fullmatch(f"{PROFILE}/[a-zA-Z0-9]+", text):
        raise ValueError(
            f"names a version: write {text.rpartition('/')[0]}, which is the ARN that Amazon ECR reports"
        )
    raise ValueError(
        f"{shown(text)} is not the ARN of a signing profile: "
        "write it as arn:aws:signer:REGION:ACCOUNT:/signing-profiles/NAME"
    )


def _signed(value: Any) -> Any:
    """Read `true` as a signature by anybody, and `false` as none."""
    if value is True:
        return Signed()
    if value is False:
        return None
    if not isinstance(value, Signed) and (not isinstance(value, dict) or not value):
        message = "is not true, false or {profiles: [ARN of a signing profile, …]}: write one of them"
        raise ValueError(message)
    return value


class Signed(BaseModel):
    """The image must be signed: by one of these profiles through ECR managed signing, or by anybody."""

    model_config = STRICT

    profiles: Annotated[
        list[Annotated[str, AfterValidator(_profile)]],
        Field(min_length=1),
    ] = []


Signing = Annotated[
    Signed | None,
    BeforeValidator(_signed),
    PlainSerializer(lambda signed: {"profiles": signed.profiles} if signed and signed.profiles else bool(signed)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {
                    "type": "object",
                    "properties": {
                        "profiles": {
                            "type": "array",
                            "items": {"type": "string", "pattern": f"^{PROFILE}$"},
                            "minItems": 1,
                            "description": "ARNs of AWS Signer profiles, one of which must have signed the image",
                        }
                    },
                    "required": ["profiles"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
