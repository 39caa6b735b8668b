"""Measurements, side by side in one run: `make bench` writes docs/reference/benchmarks.md."""

import infra  # noqa: F401 - finds the function's code, which lies in `lambda`
