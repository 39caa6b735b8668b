"""What the document says of members and parameters, beside their shapes. A new one needs a sentence here."""

from __future__ import annotations

REPOSITORY = "The repository's name, without the registry."
REGISTRY = "The repository's account. Left out: the function's own."
WAIT = (
    "`true`: wait for what is in the way and passes with time, for 24 hours at most. An object says how long. "
    "Left out or `false`: the answer is the error."
)
NEXT = "The `nextToken` of the page before, with the same other parameters."

OF_SHAPES = {
    "PromotionBody": {
        "repositoryName": "The repository of source and target.",
        "registryId": REGISTRY,
        "source": "The image of the registry to promote. Send either this or `imageManifest`.",
        "imageManifest": "The manifest of an image or index, put exactly as it is. Send either this or `source`.",
        "imageManifestMediaType": "For an `imageManifest` without `mediaType` in its body.",
        "imageDigest": "The digest that `imageManifest` must have.",
        "imageTag": "The tag to put. Send either this or `imageTags`. Left out: the rule's `to`.",
        "imageTags": "The tags to put. A tag may not begin with `sha256-`.",
        "target": "May name the source's own registry, Region and repository. Others are not supported yet.",
        "expectedDigests": "For each target tag the digest that it must be on now. `null`: it must not exist.",
        "dryRun": "`true`: answer what would be done, and write nothing. Not together with `wait`.",
        "wait": WAIT,
    },
    "SourceBody": {"imageTag": "The tag of the image.", "imageDigest": "The digest of the image."},
    "TargetBody": {
        "registryId": "The source's account.",
        "region": "The function's Region.",
        "repositoryName": "The source's repository.",
    },
    "RollbackBody": {
        "imageTags": "The tags to take back. Left out: all tags of the promotion.",
        "override": "For operators whom the setting `operators` names, under a freeze or without the rule.",
        "wait": WAIT,
    },
    "TagRollbackBody": {
        "repositoryName": REPOSITORY,
        "registryId": REGISTRY,
        "imageTag": "The tag to take back.",
        "expectedDigest": "The digest of the image that the tag is on now.",
        "override": "For operators whom the setting `operators` names, under a freeze or without the rule.",
        "wait": WAIT,
    },
    "WaitBody": {"seconds": "How long it may wait: 1,209,600 seconds at most, which is 14 days."},
    "OverrideBody": {"reason": "It is in the record, the log and the announcement."},
    "FreezeBody": {
        "reason": "Each refusal says it.",
        "repositories": "A glob of repositories. Left out: all repositories.",
        "rule": "The name of a rule. Left out: all rules.",
        "until": "When the freeze ends. Left out: it holds until somebody lifts it.",
    },
    "ScopeQuery": {
        "repositories": "The `repositories` of the freeze. Left out: the freeze of all repositories.",
        "rule": "The `rule` of the freeze. Left out: the freeze of all rules.",
    },
    "PromotionsQuery": {
        "repositoryName": "The repository's name, without the registry. Needed, except with `outcome=WAITING`.",
        "registryId": REGISTRY,
        "imageTag": "Only promotions onto this tag.",
        "imageDigest": "Only promotions of this image.",
        "caller": "Only promotions that this caller asked for; `*` stands for any characters.",
        "outcome": "Only promotions that ended so. Only `WAITING` lists those that wait.",
        "since": "Only promotions that ended at this moment or later. Not with `outcome=WAITING`.",
        "until": "Only promotions that ended before this moment. Not with `outcome=WAITING`.",
        "limit": "The most promotions that one page holds.",
        "nextToken": NEXT,
    },
    "HeadsQuery": {
        "repositoryName": REPOSITORY,
        "registryId": REGISTRY,
        "imageTag": "Only this tag. Left out: all tags that the ledger has.",
        "limit": "The most tags that one page holds.",
        "nextToken": NEXT,
    },
}
