"""The kinds of values that promotions.yaml holds; each says what to write instead of what it cannot take."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints, WithJsonSchema

from infra.policy import backtracking, languages
from infra.policy.positions import TooLargeError
from infra.policy.text import cut, shown
from promoter.domain.limits import ACCOUNT_ID, LONGEST_REPOSITORY_NAME

DURATION = re.compile(r"([0-9]+)([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
SLOW = (
    "no part that repeats may match the same text in several ways, alone or with the parts behind it; "
    "write a+ for (a+)+, [^-]* for .* before a -"
)
CALLER_PREFIXES = ("arn:", "github:", "jwt:", "*")


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {cut(str(error))}") from error
    return text


def _tag_pattern(text: str) -> str:
    _pattern(text)
    try:
        if backtracking.most_steps(text) > backtracking.MOST_STEPS:
            raise ValueError(f"{shown(text)} takes too long for some tags: {SLOW}")
    except TooLargeError as error:
        message = f"{shown(text)} is too large to be checked: write + or * instead of counts such as {{1,100}}"
        raise ValueError(message) from error
    if not languages.meet(languages.of(text), languages.TAG):
        raise ValueError(
            f"{shown(text)} matches no tag: those have letters, digits, _ . - and at most 128 characters"
        )
    return text


def _repository_glob(text: str) -> str:
    if len(text) > LONGEST_REPOSITORY_NAME or not languages.meet(languages.of_glob(text), languages.REPOSITORY):
        raise ValueError(
            f"{shown(text)} matches no ECR repository: names have lower-case letters and digits, "
            "between them one of . _ / or -, and * here stands for any characters"
        )
    return text


def _caller_glob(text: str) -> str:
    if not text.startswith(CALLER_PREFIXES):
        raise ValueError(
            f"{shown(text)} matches no caller: write an IAM ARN, github:OWNER/REPO:… or jwt:SUBJECT, "
            "with * for any characters"
        )
    return text


def _account(value: Any) -> Any:
    if isinstance(value, int):
        message = f'is a number: write the account id in quotes, "{value:012d}"'
        raise ValueError(message)  # noqa: TRY004 - Pydantic collects ValueErrors only
    return value


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        message = f"{shown(value)} is no duration: write a number and a unit, as 30m, 24h or 7d"
        raise ValueError(message)
    try:
        return timedelta(**{UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise ValueError(f"{shown(value)} is too long a duration") from error


def _written(duration: timedelta) -> str:
    units = [(timedelta(**{name: 1}), letter) for letter, name in reversed(UNITS.items())]
    fitting = (f"{duration // unit}{letter}" for unit, letter in units if duration >= unit and not duration % unit)
    return next(fitting, "0s")


def _day(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    if not isinstance(value, date) or isinstance(value, datetime):
        message = f"{shown(value)} is no day: write it as 2026-12-31"
        raise ValueError(message)  # noqa: TRY004
    return value


def _moment(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass
    if not isinstance(value, date):
        message = f"{shown(value)} is no day or time: write it as 2026-12-24 or 2026-12-24T18:00:00"
        raise ValueError(message)  # noqa: TRY004
    return value


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{shown(text)} is no time zone: write a name of the IANA list, as Europe/Berlin"
        ) from error
    return text


def _sentence(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: say why, for those who read it later")
    return text


def instant(moment: date, zone: str, *, end: bool) -> datetime:
    """Return a moment of a freeze as UTC; a day begins at its midnight in the zone and ends at the next one."""
    if isinstance(moment, datetime):
        local = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
    else:
        day = moment + timedelta(days=1) if end else moment
        local = datetime.combine(day, time(), ZoneInfo(zone))
    return local.astimezone(UTC)


Pattern = Annotated[str, AfterValidator(_tag_pattern)]
RepositoryGlob = Annotated[str, AfterValidator(_repository_glob)]
CallerGlob = Annotated[str, AfterValidator(_caller_glob)]
Account = Annotated[str, BeforeValidator(_account), StringConstraints(pattern=f"^{ACCOUNT_ID}$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Sentence = Annotated[str, AfterValidator(_sentence)]
Zone = Annotated[str, AfterValidator(_zone)]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(_written),
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION.pattern}$"}),
]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Moment = Annotated[
    date | datetime,
    BeforeValidator(_moment),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}([T ].+)?$"}),
]
