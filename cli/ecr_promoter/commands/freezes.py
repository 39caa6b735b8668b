"""`freeze`, `lift` and `reconcile`: what operators do."""

from __future__ import annotations

import click

from ecr_promoter import exits
from ecr_promoter.api.connection import connect
from ecr_promoter.durations import AHEAD
from ecr_promoter.options import command
from ecr_promoter.output import heads
from ecr_promoter.output.show import show
from ecr_promoter.settings import Settings

FREEZE = """
# what is frozen now
ecr-promoter freeze

# stop everything, until somebody lifts it
ecr-promoter freeze "incident 7"

# stop one rule for two hours
ecr-promoter freeze "database migration" --rule prod-by-pipeline --until 2h
"""
LIFT = """
ecr-promoter lift
ecr-promoter lift --repositories 'team/*' --rule prod-by-pipeline
"""
RECONCILE = """
ecr-promoter reconcile
"""

repositories_option = click.option("--repositories", metavar="GLOB", help="Only promotions in these repositories.")
rule_option = click.option("--rule", metavar="NAME", help="Only promotions by this rule.")


@command("freeze", FREEZE, short_help="Stop promotions, or list what is frozen.")
@click.argument("reason", required=False)
@repositories_option
@rule_option
@click.option("--until", type=AHEAD, metavar="TIME", help="2h, or a time.  [default: until it is lifted]")
def freeze(
    settings: Settings, *, reason: str | None, repositories: str | None, rule: str | None, until: str | None
) -> int:
    """Stop all promotions, or some, for REASON. Without REASON, list what is frozen."""
    if reason is None:
        if repositories or rule or until:
            raise click.UsageError("Say why: `ecr-promoter freeze REASON …`. Refusals name the reason.")
        show(settings, connect(settings).call("GET", "/freeze"), heads.freezes)
        return exits.DONE
    body = {"reason": reason, "repositories": repositories, "rule": rule, "until": until}
    answer = connect(settings).call(
        "PUT", "/freeze", body={name: value for name, value in body.items() if value is not None}
    )
    show(settings, answer, lambda document: heads.freezes({"freezes": [document]}))
    return exits.DONE


@command("lift", LIFT, short_help="Lift a freeze.")
@repositories_option
@rule_option
def lift(settings: Settings, *, repositories: str | None, rule: str | None) -> int:
    """Lift the freeze that was set with the same --repositories and --rule."""
    answer = connect(settings).call("DELETE", "/freeze", query={"repositories": repositories, "rule": rule})
    show(settings, answer, heads.lifted)
    return exits.DONE


@command("reconcile", RECONCILE, short_help="Recover, retry and look for drift now.")
def reconcile(settings: Settings) -> int:
    """Do at once what the schedule does: recover promotions, try those that wait, look for drift.

    The exit code is 4 if a part of the run failed.
    """
    answer = connect(settings).call("POST", "/reconcile")
    show(settings, answer, heads.reconciled)
    return exits.FAILED if answer.get("failures") else exits.DONE
