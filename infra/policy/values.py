"""The types of the values in promotions.yaml; each says what to write instead of a wrong value."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints, WithJsonSchema

from infra.policy import backtracking, languages
from infra.policy.positions import TooLargeError
from infra.policy.text import cut, shown
from promoter.domain.limits import ACCOUNT_ID, LONGEST_REPOSITORY_NAME, LONGEST_TAG

DURATION = re.compile(r"([0-9]+)([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
SLOW = (
    "a repeated part must match a text in one way only, alone and together with the parts behind it; "
    "write a+ for (a+)+, and [^-]* for .* before a -"
)
CALLER_PREFIXES = ("arn:", "github:", "jwt:", "*")


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is not a regular expression: {cut(str(error))}") from error
    return text


def _tag_pattern(text: str) -> str:
    _pattern(text)
    try:
        if backtracking.most_steps(text) > backtracking.MOST_STEPS:
            raise ValueError(f"{shown(text)} takes too long for some tags: {SLOW}")
    except TooLargeError as error:
        message = f"{shown(text)} is too large to check: write + or * instead of counts such as {{1,100}}"
        raise ValueError(message) from error
    if not languages.meet(languages.of(text), languages.TAG):
        raise ValueError(
            f"{shown(text)} matches no tag: a tag has letters, digits, _ . - and at most {LONGEST_TAG} characters"
        )
    return text


def _repository_glob(text: str) -> str:
    if len(text) > LONGEST_REPOSITORY_NAME or not languages.meet(languages.of_glob(text), languages.REPOSITORY):
        raise ValueError(
            f"{shown(text)} matches no ECR repository: a name has lower-case letters and digits, "
            "separated by . _ / or -; * stands for any characters"
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
        message = f"{shown(value)} is not a duration: write a number and a unit, such as 30m, 24h or 7d"
        raise ValueError(message)
    try:
        return timedelta(**{UNITS[match[2]]: int(match[1])})
    except OverflowError as error:
        raise ValueError(f"{shown(value)} is too long: write a shorter duration") from error


def _written(duration: timedelta) -> str:
    units = [(timedelta(**{name: 1}), letter) for letter, name in reversed(UNITS.items())]
    fitting = (f"{duration // unit}{letter}" for unit, letter in units if duration >= unit and not duration % unit)
    return next(fitting, "0s")


def _day(value: Any) -> date:
    day = _parsed(value, date)
    if day is None or isinstance(day, datetime):
        raise ValueError(f"{shown(value)} is not a day: write it as 2026-12-31")
    return day


def _moment(value: Any) -> date:
    moment = _parsed(value, date, datetime)
    if moment is None:
        message = f"{shown(value)} is not a day or time: write it as 2026-12-24 or 2026-12-24T18:00:00"
        raise ValueError(message)
    return moment


def _parsed(value: Any, *kinds: type[date]) -> date | None:
    """Return a day or time as YAML reads it, or as ISO 8601 text of one of the kinds; None for anything else."""
    if isinstance(value, str):
        for kind in kinds:
            with suppress(ValueError):
                return kind.fromisoformat(value)
    return value if isinstance(value, date) else None


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(
            f"{shown(text)} is not a time zone: write a name of the IANA list, such as Europe/Berlin"
        ) from error
    return text


def _sentence(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty: write the reason, for those who read it later")
    return text


def instant(moment: date, zone: str, *, end: bool) -> datetime:
    """Return a moment of a freeze in UTC; a day begins at midnight in the zone and ends at the next midnight."""
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
