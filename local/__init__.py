"""AWS on this machine, for the demo, tests and benchmarks: the ministack emulator with Amazon ECR's own rules.

Clients start it and talk to it: `process`, `deploy`, `demo`, `pusher`, `aws`. The emulator itself is `server`,
`control`, `apigateway`, `ecr`, `eventbridge` and `emulator`; no client imports them.
"""
