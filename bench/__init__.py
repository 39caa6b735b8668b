"""Measurements, side by side in one run: `make bench` writes docs/reference/benchmarks.md."""
