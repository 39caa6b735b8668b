"""What ministack's API Gateway lacks: JWT authorizers that check all that AWS documents."""
