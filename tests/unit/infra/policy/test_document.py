"""promotions.yaml as YAML: each mistake has its line, hides no other, and tells no more than a bit of a value."""

from __future__ import annotations

import re
import time
from datetime import date, datetime
from pathlib import Path

import pytest

from infra.policy.document import parse
from infra.policy.file import PolicyError, read

RULE = "- {name: r, on: request, repositories: [web], to: [prod]}\n"
LAUGHS = "\n".join(["l0: &l0 [ha, ha]", *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 30))])
MERGES = "\n".join(
    ["m0: &m0 {a: b}", *(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 30))]
)


def told(folder: Path, text: str) -> list[str]:
    """Return the mistakes of a policy, without the file's name."""
    file = folder / "promotions.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError) as caught:
        read(file)
    return [line.removeprefix(f"{file}:") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("2026-13-01", "'2026-13-01' is no day: write it as 2026-12-31"),
        ("2026-02-30", "'2026-02-30' is no day"),
        ("2026-01-01T25:00:00", "'2026-01-01T25:00:00' is no day"),
        ("!!timestamp soon", "'soon' is no day"),
        ("!!int many", "'many' is no day"),
        ("!!bool perhaps", "'perhaps' is no day"),
        ("9" * 5000, "'9999999999"),
        ("!Ref Day", "has the tag !Ref, which a policy does not know: take it out"),
        ("!!python/object:os.system x", "has the tag tag:yaml.org,2002:python/object:os.system, which"),
    ],
)
def test_what_only_looks_like_a_value_is_one_mistake_among_others(
    tmp_path: Path, written: str, message: str
) -> None:
    """With the line of the value; the others in the file are told in the same run."""
    found = told(
        tmp_path,
        "rules:\n"
        "- name: r\n"
        "  on: request\n"
        "  repositories: [web]\n"
        "  to: [prod]\n"
        "  gate:\n"
        "    findings: {HIGH: 0}\n"
        "    ignore:\n"
        f"    - {{id: C, until: {written}, reason: r}}\n"
        "  form: x\n",
    )

    assert any(line.startswith("9:15: rules[0].gate.ignore[0].until: ") and message in line for line in found), (
        found
    )
    assert any(line.startswith("10:3: rules[0].form: is not a key") for line in found), found
    assert all(len(line) < 250 for line in found)


def test_a_freeze_with_a_day_that_the_calendar_lacks_has_its_line(tmp_path: Path) -> None:
    """And so have all of its kind."""
    found = told(
        tmp_path, f"rules:\n{RULE}freeze:\n- from: 2026-13-01\n  to: 2026-12-24T99:00:00\n  reason: holidays\n"
    )

    remedy = "is no day or time: write it as 2026-12-24 or 2026-12-24T18:00:00"
    assert found == [
        f"4:3: freeze[0].from: '2026-13-01' {remedy}",
        f"5:3: freeze[0].to: '2026-12-24T99:00:00' {remedy}",
    ]


def test_good_days_and_times_are_what_they_were(tmp_path: Path) -> None:
    """As YAML writes them, with spaces and short hours too."""
    file = tmp_path / "promotions.yaml"
    file.write_text("[2026-12-24, 2026-12-24T18:00:00, 2026-1-2 3:04:05 +1]")

    day, moment, short = parse(file).values

    assert (day, moment) == (date(2026, 12, 24), datetime(2026, 12, 24, 18))  # noqa: DTZ001 - as it is written
    assert short.isoformat() == "2026-01-02T03:04:05+01:00"


@pytest.mark.parametrize(
    "member",
    [
        "name: {long}",
        "on: {long}",
        "registry: '{long}'",
        "repositories: ['{long}']",
        "from: '[{long}'",
        "from: '{long}/'",
        "from: '(?P<{long}>a)(?P<{long}>b)'",
        "from: '(?P<tag>(?P<{long}>a))'",
        "to: ['{long}{{x}}']",
        "to: ['{{{long}}}']",
        "to: [[{long}, {long}]]",
        "to_matching: ['{long}']",
        "callers: ['{long}']",
        "gate: {{soak: {long}}}",
        "gate: {{soak: 1{long}}}",
        "gate: {{soak: {nines}d}}",
        "gate: {{findings: {{{long}: 1}}}}",
        "gate: {{ignore: [{{id: C, until: {long}, reason: r}}]}}",
        "gate: [{long}]",
        "gate: {{signed: {long}}}",
        "gate: {{signed: {{profiles: [{long}]}}}}",
        "gate: {{max_scan_age: {long}}}",
        "{long}: x",
        "target: {{region: {long}}}",
        "{long}: 1, {long}: 2",
        "to: [!{long} x]",
        "to: [*{long}]",
    ],
)
def test_no_message_holds_more_than_the_beginning_of_a_value(tmp_path: Path, member: str) -> None:
    """However long it is, and wherever it stands; the place in the file says the rest."""
    text = member.format(long="l" * 3000, nines="9" * 3000)
    found = told(tmp_path, f"rules:\n- {{name: r, on: request, repositories: [web], to: [prod], {text}}}\n")

    assert found
    for line in found:
        assert not re.search("l{81}|9{81}", line)
        assert len(line) < 500


@pytest.mark.parametrize("document", [LAUGHS, MERGES])
@pytest.mark.parametrize(
    "use", ["rules: *{0}29", "rules:\n- *{0}29", "rules:\n- {{name: *{0}29, repositories: [*{0}29]}}"]
)
def test_aliases_that_stand_for_billions_are_refused_with_their_line(
    tmp_path: Path, document: str, use: str
) -> None:
    """Before anything is made of them: no memory, no novel in the message."""
    begun = time.process_time()

    (line,) = told(tmp_path, f"{document}\n{use.format(document[0])}\n")

    assert re.match(r"\d+:\d+: policy: holds more than 200,000 values, each alias", line)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("text", ["rules: &a [*a]", "rules: &a {b: *a}"])
def test_what_refers_to_itself_is_refused(tmp_path: Path, text: str) -> None:
    """With its line."""
    (line,) = told(tmp_path, text)

    assert line.startswith("1:8: policy: holds more than")


def test_aliases_in_measure_are_no_mistake(tmp_path: Path) -> None:
    """A list of repositories that several rules share, and keys that a rule takes from another and changes."""
    file = tmp_path / "promotions.yaml"
    file.write_text(
        "rules:\n"
        "- &one {name: one, on: request, repositories: &all [a, b], to: [x]}\n"
        "- {<<: *one, name: two, to: [y]}\n"
        "- {name: three, on: request, repositories: *all, to: [z]}\n"
    )

    assert [rule.repositories for rule in read(file).rules] == [["a", "b"]] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules:\n- a: \x07", "2:6: is no YAML: special characters are not allowed"),
        ("rules:\n- [a", "2:5: is no YAML:"),
        ("rules:\n- {? [a]: b}", "2:6: is no YAML: found unhashable key"),
        ("[" * 5000, " is nested too deeply"),
    ],
)
def test_what_is_no_yaml_has_its_line(tmp_path: Path, text: str, message: str) -> None:
    """And no traceback."""
    assert told(tmp_path, text)[0].startswith(message)


def test_a_pattern_that_python_cannot_take_is_a_mistake(tmp_path: Path) -> None:
    """Also where Python gives up in another way than by saying that it is none."""
    found = told(
        tmp_path, RULE.replace("to:", "from: 'a{99999999999999999999}', to:").replace("- {", "rules:\n- {")
    )

    assert "rules[0].from: is no regular expression" in found[0]
