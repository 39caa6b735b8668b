"""promotions.yaml: its model, its checks, and `make explain`."""
