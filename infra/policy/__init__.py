"""promotions.yaml: its model, its checks, and what it would decide."""
