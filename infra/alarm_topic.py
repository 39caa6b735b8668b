"""The topic that alarms notify."""

from __future__ import annotations

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct


def alarm_topic(scope: Construct, email: str) -> sns.Topic:
    """Return a topic to which only this account's alarms may publish, with one subscriber.

    The policy that enforces TLS replaces the default one, which lets the account's alarms publish: so that right
    is granted here. The topic is not encrypted at rest: alarms cannot use the key that AWS manages, a key of our
    own costs a dollar a month, and the e-mail has the same text.
    """
    topic = sns.Topic(scope, "Topic", display_name="ecr-promoter alarms", enforce_ssl=True)
    topic.add_subscription(subscriptions.EmailSubscription(email))
    stack = Stack.of(scope)
    alarms = stack.format_arn(
        service="cloudwatch", resource="alarm", resource_name="*", arn_format=ArnFormat.COLON_RESOURCE_NAME
    )
    conditions = {
        "StringEquals": {"aws:SourceAccount": stack.account},
        "ArnLike": {"aws:SourceArn": alarms},
    }
    topic.grant_publish(iam.ServicePrincipal("cloudwatch.amazonaws.com", conditions=conditions))
    return topic
