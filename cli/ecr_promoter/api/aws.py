"""AWS by boto3: its session, its credentials, and its errors in one line. boto3 is loaded when it is needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ecr_promoter.exits import Failed, UsageMistake
from ecr_promoter.settings import Settings

if TYPE_CHECKING:
    from boto3.session import Session

SIGN_IN = "Sign in (`aws sso login`, or another way of the AWS CLI), or name a profile with --profile"


def open_session(settings: Settings) -> Session:
    """Return a boto3 session of the profile and Region that the options or the environment name."""
    import boto3

    with explain_errors():
        # The AWS CLI version 2 and Lambda read AWS_REGION; botocore reads AWS_DEFAULT_REGION only.
        region = settings.region or os.environ.get("AWS_REGION") or None
        return boto3.Session(profile_name=settings.profile, region_name=region)


def client(session: Session, service: str, settings: Settings) -> Any:
    """Return a boto3 client that tries again what AWS throttles."""
    from botocore.config import Config

    config = Config(
        retries={"mode": "standard", "total_max_attempts": 5},
        connect_timeout=settings.timeouts[0],
        read_timeout=settings.timeouts[1],
        user_agent_extra="ecr-promoter",
    )
    with explain_errors():
        return session.client(service, config=config, verify=settings.ca_bundle)  # type: ignore[call-overload]


@contextmanager
def explain_errors() -> Iterator[None]:
    """Turn what boto3 raises into a CommandError of one line, which says what to do."""
    from botocore import exceptions as aws
    from botocore.parsers import ResponseParserError

    try:
        yield
    except aws.ProfileNotFound as error:
        raise UsageMistake(f"{error}. `aws configure list-profiles` lists the profiles.") from error
    except aws.NoRegionError as error:
        raise UsageMistake("No AWS Region is known. Name one with --region or AWS_REGION.") from error
    except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError) as error:
        raise UsageMistake(f"{_sentence(error)} {SIGN_IN}.") from error
    except (aws.SSOError, aws.TokenRetrievalError, RuntimeError) as error:  # botocore's for expired credentials
        raise UsageMistake(f"{_sentence(error)} {SIGN_IN}.") from error
    except aws.ClientError as error:
        raise Failed(_refused(error)) from error
    except (aws.HTTPClientError, aws.ConnectionError) as error:
        require_sent(error)
        raise Failed(f"{_sentence(error)} Check the network and the Region, then try again.") from error
    except ResponseParserError as error:
        raise Failed(f"{_sentence(error)} It is not an answer of AWS: check the network and the proxy.") from error
    except (aws.BotoCoreError, ValueError, OSError) as error:  # such as an endpoint that is not a URL
        raise UsageMistake(f"{_sentence(error)} Correct the options, the environment or the AWS files.") from error


def require_sent(error: Any) -> None:
    """Raise UsageMistake for a request with a header that HTTP does not allow.

    The error of botocore and its cause have the value of the header, which may be a secret: nobody sees them.
    """
    cause = error.kwargs.get("error")
    if isinstance(cause, UnicodeEncodeError) or str(cause).startswith("Invalid header"):
        raise UsageMistake(
            "A token or credential has a character that HTTP does not allow, such as a newline. Set it again."
        ) from None


EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException")
DENIED = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


def _refused(error: Any) -> str:
    """Return what AWS refused, and what to do about it."""
    details, operation = error.response.get("Error", {}), error.operation_name
    code, message = details.get("Code", "Unknown"), details.get("Message", "")
    text = f"{operation} failed with {code}: {message}".rstrip(". ") + "."
    if code in EXPIRED:
        return f"{text} {SIGN_IN}."
    if code in DENIED:
        return f"{text} Ask for this right, or use another profile with --profile."
    return text


def _sentence(error: Exception) -> str:
    return f"{error}".rstrip(". ") + "."
