"""A policy with every kind of mistake, and the messages about it."""

from __future__ import annotations

EVERY_MISTAKE = r"""
rules:
  - name: misspelt
    on: scan
    repositories: ["alone/*"]
    form: 'x'
    from: 'a'
    to: [b]
  - name: bad-pattern
    on: request
    repositories: ["alone/*"]
    from: '['
    to: [c]
  - name: no-such-group
    on: request
    repositories: ["alone/*"]
    to: ["{build}"]
  - {name: prod, on: request, repositories: ["team/*"], to: [prod], to_matching: ['v.*']}
  - name: prod-too
    on: request
    repositories: ["*/web"]
    to: [prod]
    to_matching: ['.*1']
  - {name: to-b, on: scan, repositories: ["loop/*"], from: 'a', to: [b]}
  - {name: to-c, on: scan, repositories: ["loop/*"], from: 'b', to: [c]}
  - {name: to-a, on: scan, repositories: ["*"], from: 'c', to: [a]}
  - {name: itself, on: scan, repositories: ["self"], to: [x]}
  - name: ignores
    on: request
    repositories: ["alone/*"]
    to: [d]
    gate:
      findings: {}
      ignore:
        - {id: CVE-1, until: 2026-01-01, reason: "r"}
        - {id: CVE-1, until: 2099-01-01}
        - {id: CVE-1, until: 2099-01-01, reason: ""}
  - {name: nowhere, on: request, repositories: ["-*"], to: [e]}
  - {name: never, on: scan, repositories: ["alone/*"], from: '/.*', to: [f]}
  - {name: idle, on: scan, repositories: ["alone/*"], from: 'y', to: [g], gate: {findings: {}, fixable_only: true}}
  - {name: slow, on: request, repositories: ["alone/*"], from: '(x+)+', to: [h]}
  - {name: complex, on: scan, repositories: ["*q*q*q*q*q*q"], from: 'z', to: [i]}
freeze:
  - {from: 2026-13-01, to: 2027-01-02, reason: "r"}
"""
MISTAKES = [
    ("6:5", "rules[0].form", "is not a key"),
    ("12:5", "rules[1].from", "is not a regular expression"),
    ("17:10", "rules[2].to[0]", "no group of from is named 'build'"),
    ("22:10", "rules[4].to[0]", "rule prod may put 'prod' too"),
    ("23:19", "rules[4].to_matching[0]", "rule prod may put '.*1' too"),
    ("24:65", "rules[5].to", "starts an endless cycle, to-b -> to-c -> to-a -> to-b"),
    ("27:54", "rules[8].to", "starts an endless cycle, itself -> itself"),
    ("35:23", "rules[9].gate.ignore[0].until", "2026-01-01 is over"),
    ("36:11", "rules[9].gate.ignore[1].reason", "is missing"),
    ("37:42", "rules[9].gate.ignore[2].reason", "is empty"),
    ("38:49", "rules[10].repositories[0]", "'-*' matches no ECR repository"),
    ("39:56", "rules[11].from", "'/.*' matches no tag"),
    ("40:96", "rules[12].gate.fixable_only", "has no effect without limits in findings"),
    ("41:58", "rules[13].from", "'(x+)+' takes too long for some tags"),
    ("42:46", "rules[14].repositories[0]", "'*q*q*q*q*q*q' is too complex for EventBridge"),
    ("44:6", "freeze[0].from", "'2026-13-01' is not a day or time"),
]
"""Line and column, the place in the document, and a part of the message."""
OVER = "rules[9].gate.ignore[0].until"
"""The only mistake that does not stop a deployment."""
