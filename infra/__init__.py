"""The stack: what `cdk deploy` makes of promotions.yaml."""
