"""What ministack's EventBridge lacks: the limits of event patterns, and what happens to undelivered events."""
