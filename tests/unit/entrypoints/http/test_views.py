"""Answers and problem documents, as clients get them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_lambda_powertools.event_handler import Response

from promoter.domain.answers import NotPromoted, Waiting
from promoter.domain.errors import GateRefused, InvalidRequest, PromoterError, RegistryError, TagBusy
from promoter.domain.model import (
    ImageId,
    Outcome,
    Promoted,
    Promotion,
    Reason,
    Source,
    TagMove,
    Trigger,
    Unreadable,
    Wait,
)
from promoter.domain.ports import Missing
from promoter.domain.records import Head, Record
from promoter.domain.rule import Freeze
from promoter.entrypoints.http import views
from promoter.promotion.reconcile import Reconciled
from tests.support.policies import ACCOUNT
from tests.support.registries import REPOSITORY, manifest

OLD, NEW = manifest('{"old": 1}'), manifest('{"new": 1}\n')
PROMOTION = Promotion("p-1", Trigger.REQUEST, REPOSITORY, Source(ImageId("staging")))
DONE = Promoted("p-1", "prod", REPOSITORY, NEW, (TagMove("prod", Outcome.PROMOTED, OLD.digest),))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def document(response: Response[str]) -> Any:
    return json.loads(response.body or "")


def test_an_answer_has_put_images_structure_and_the_registrys_bytes() -> None:
    """With every member of PutImage's `image`, and what became of the tag."""
    response = views.answered(PROMOTION, DONE)

    assert response.status_code == 200
    assert response.headers == {"Cache-Control": "no-store", "Content-Type": "application/json"}
    assert document(response) == {
        "promotionId": "p-1",
        "outcome": "PROMOTED",
        "rule": "prod",
        "images": [
            {
                "registryId": ACCOUNT,
                "repositoryName": "team/web",
                "imageId": {"imageDigest": NEW.digest, "imageTag": "prod"},
                "imageManifest": '{"new": 1}\n',
                "imageManifestMediaType": NEW.media_type,
                "outcome": "PROMOTED",
                "previousDigest": OLD.digest,
            }
        ],
    }


def test_the_answer_of_a_rollback_names_what_it_took_back() -> None:
    """By its promotionId, and each tag with the image that it is back on."""
    moves = (
        TagMove("prod", Outcome.PROMOTED, NEW.digest, image_digest=OLD.digest),
        TagMove("canary", Outcome.UNCHANGED, NEW.digest),
    )

    answer = document(
        views.answered(replace(PROMOTION, undoes="p-0"), replace(DONE, moves=moves, others={OLD.digest: OLD}))
    )

    assert answer["undoes"] == "p-0"
    assert [image["imageId"]["imageDigest"] for image in answer["images"]] == [OLD.digest, NEW.digest]
    assert answer["images"][0]["imageManifest"] == '{"old": 1}'


def test_a_manifest_that_is_gone_is_left_out() -> None:
    """A repeat is answered although the image was deleted since."""
    answer = document(views.answered(PROMOTION, replace(DONE, manifest=replace(NEW, body=b""))))

    assert "imageManifest" not in answer["images"][0]
    assert answer["images"][0]["imageManifestMediaType"] == NEW.media_type


def test_manifests_beyond_what_lambda_answers_are_left_out() -> None:
    """Quotes count more than once: the body is JSON inside of Lambda's JSON."""
    large = manifest(json.dumps({"pad": '"' * 600_000}))
    moves = tuple(TagMove(tag, Outcome.PROMOTED, None) for tag in ("v1", "v2"))

    response = views.answered(PROMOTION, replace(DONE, manifest=large, moves=moves))

    assert ["imageManifest" in image for image in document(response)["images"]] == [True, False]
    assert len(json.dumps(response.body)) < 6_000_000


def test_a_failure_half_way_lists_what_was_put_before() -> None:
    """Each tag on the promotion's image, or on its own."""
    moves = (
        TagMove("v1", Outcome.PROMOTED, OLD.digest),
        TagMove("v2", Outcome.PROMOTED, None, image_digest=OLD.digest),
    )

    response = views.answered(PROMOTION, NotPromoted(RegistryError("down"), moves, NEW.digest))

    assert response.status_code == 502
    assert response.headers["Content-Type"] == "application/problem+json"
    assert document(response) == {
        "type": "urn:ecr-promoter:registry_error",
        "title": "The registry failed",
        "status": 502,
        "detail": "down",
        "code": "registry_error",
        "promotionId": "p-1",
        "images": [
            {
                "registryId": ACCOUNT,
                "repositoryName": "team/web",
                "imageId": {"imageDigest": digest, "imageTag": tag},
                "outcome": "PROMOTED",
                "previousDigest": previous,
            }
            for tag, digest, previous in (("v1", NEW.digest, OLD.digest), ("v2", OLD.digest, None))
        ],
    }


def test_reasons_are_listed_with_what_applies() -> None:
    """Members that do not apply are left out."""
    reasons = (Reason("finding", "CVE-1 is CRITICAL", rule="prod", severity="CRITICAL"), Reason("unsigned", "no"))

    problem = document(views.answered(PROMOTION, NotPromoted(GateRefused("CVE-1 is CRITICAL", reasons=reasons))))

    assert problem["reasons"] == [
        {"code": "finding", "detail": "CVE-1 is CRITICAL", "rule": "prod", "severity": "CRITICAL"},
        {"code": "unsigned", "detail": "no"},
    ]
    assert "images" not in problem


@pytest.mark.parametrize(("error", "seconds"), [(TagBusy("busy"), "1"), (RegistryError("down"), None)])
def test_a_client_is_told_when_to_come_again(error: PromoterError, seconds: str | None) -> None:
    """Where waiting is known to help."""
    assert views.refused(error, promotion_id=None).headers.get("Retry-After") == seconds


def test_a_mistake_names_its_member_in_few_words() -> None:
    """A long detail is cut, and half of a surrogate pair does not stop the answer."""
    response = views.refused(InvalidRequest("\ud800" + "x" * 5_000, field="source"), promotion_id=None)

    problem = document(response)
    assert problem["field"] == "source"
    assert len(problem["detail"]) <= 1_000
    assert (response.body or "").encode()
    assert not {"promotionId", "reasons", "images"} & problem.keys()


def test_a_freeze_says_what_rests_until_when_and_why() -> None:
    """A star stands for all; no end is null."""
    everything = Freeze(NOW, None, "incident 7", None, None, by="ann")
    one = Freeze(NOW, NOW + timedelta(hours=1), "release", ("prod",), ("team/*",))

    assert views.frozen(everything) == {
        "repositories": "*",
        "rule": "*",
        "reason": "incident 7",
        "by": "ann",
        "since": "2026-11-24T12:00:00+00:00",
        "until": None,
    }
    assert views.frozen(one) == {
        "repositories": "team/*",
        "rule": "prod",
        "reason": "release",
        "by": None,
        "since": "2026-11-24T12:00:00+00:00",
        "until": "2026-11-24T13:00:00+00:00",
    }


def test_a_head_is_shown_beside_what_the_registry_has() -> None:
    """In place, elsewhere, gone, or not readable now."""
    head = Head(REPOSITORY, "prod", NEW.digest, "p-1", NOW)

    found = views.compared([(head, NEW), (head, OLD), (head, Missing.NOT_FOUND), (head, Unreadable("archived"))])

    assert [(each["registryDigest"], each["drift"], each.get("unreadable")) for each in found] == [
        (NEW.digest, False, None),
        (OLD.digest, True, None),
        (None, True, None),
        (None, None, "archived"),
    ]
    assert {each["imageDigest"] for each in found} == {NEW.digest}
    assert found[0]["movedAt"] == "2026-11-24T12:00:00+00:00"


def test_only_a_page_that_is_followed_by_another_has_a_token() -> None:
    """A client reads on until there is none."""
    assert views.page("heads", [{"imageTag": "prod"}], "t") == {"heads": [{"imageTag": "prod"}], "nextToken": "t"}
    assert views.page("promotions", [], None) == {"promotions": []}


def test_a_run_of_reconcile_is_told_in_the_apis_words() -> None:
    """What it recovered is called `settled` there."""
    head = Head(REPOSITORY, "prod", NEW.digest, "p-1", NOW, drift=OLD.digest)

    told = views.reconciled(Reconciled(settled=("p-2",), finished=1, waiting=2, drifted=(head,), failures=("no",)))

    assert told == {
        "settled": ["p-2"],
        "finished": 1,
        "waiting": 2,
        "drifted": [
            {
                "registryId": ACCOUNT,
                "repositoryName": "team/web",
                "imageTag": "prod",
                "recordedDigest": NEW.digest,
                "registryDigest": OLD.digest,
                "promotionId": "p-1",
            }
        ],
        "failures": ["no"],
    }


def waiting(until: datetime) -> Record:
    """Return a promotion of two tags, one of which it has put; it waits for the other until then."""
    return Record(
        promotion_id="p-1",
        trigger=Trigger.REQUEST,
        repository=REPOSITORY,
        source=ImageId("staging"),
        asked_at=NOW,
        rule="prod",
        image_digest=NEW.digest,
        image_tags=("v1", "prod"),
        moves=(
            TagMove("v1", Outcome.PROMOTED, None),
            TagMove("prod", Outcome.PLANNED, OLD.digest),
        ),
        outcome=Outcome.WAITING,
        detail="Another promotion is moving the tag.",
        reasons=(Reason("tag_busy", "Another promotion is moving the tag."),),
        wait=Wait(until),
    )


@pytest.mark.parametrize("repeated", [False, True])
def test_a_promotion_that_waits_is_accepted(*, repeated: bool) -> None:
    """202: its record says for what it waits and how long, and the header where to ask again; for repeats too."""
    until = datetime.now(UTC) + timedelta(hours=1)

    response = views.answered(PROMOTION, Waiting(waiting(until), repeated=repeated))

    assert response.status_code == 202
    assert response.headers["Location"] == "/promotions/p-1"
    assert response.headers["Content-Type"] == "application/json"
    told = document(response)
    assert (told["outcome"], told["waitingFor"], told["waitsUntil"]) == (
        "WAITING",
        ["tag_busy"],
        until.isoformat(),
    )
    assert [(image["imageTag"], image["outcome"]) for image in told["images"]] == [
        ("v1", "PROMOTED"),
        ("prod", "PLANNED"),
    ]
    assert "code" not in told
    assert "endedAt" not in told


def test_a_wait_that_is_over_already_has_ended() -> None:
    """A promotion that may wait for a second can take longer than that. It lists the tags that it has put."""
    response = views.answered(PROMOTION, Waiting(waiting(datetime.now(UTC))))

    assert response.status_code == 409
    assert "Location" not in response.headers
    told = document(response)
    assert (told["code"], told["promotionId"]) == ("expired", "p-1")
    assert [image["imageId"] for image in told["images"]] == [{"imageDigest": NEW.digest, "imageTag": "v1"}]
