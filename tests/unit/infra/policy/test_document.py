"""promotions.yaml as YAML: each mistake has its line, hides no other, and shows only the beginning of a value."""

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


def messages(folder: Path, text: str) -> list[str]:
    """Return the messages about a policy, without the file's name."""
    file = folder / "promotions.yaml"
    file.write_text(text)
    with pytest.raises(PolicyError) as caught:
        read(file)
    return [line.removeprefix(f"{file}:") for line in str(caught.value).splitlines()]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("2026-13-01", "'2026-13-01' is not a day: write it as 2026-12-31"),
        ("2026-02-30", "'2026-02-30' is not a day"),
        ("2026-01-01T25:00:00", "'2026-01-01T25:00:00' is not a day"),
        ("!!timestamp soon", "'soon' is not a day"),
        ("!!int many", "'many' is not a day"),
        ("!!bool perhaps", "'perhaps' is not a day"),
        ("9" * 5000, "'9999999999"),
        ("!Ref Day", "has the YAML tag !Ref, which a policy cannot use: remove it"),
        ("!!python/object:os.system x", "has the YAML tag tag:yaml.org,2002:python/object:os.system, which"),
    ],
)
def test_a_value_that_yaml_cannot_read_is_one_mistake_among_others(
    tmp_path: Path, written: str, message: str
) -> None:
    """The message has the line of the value, and the other mistakes are reported in the same run."""
    found = messages(
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


def test_an_impossible_day_in_a_freeze_is_reported_with_its_line(tmp_path: Path) -> None:
    """Each such day of the file has its own message."""
    found = messages(
        tmp_path, f"rules:\n{RULE}freeze:\n- from: 2026-13-01\n  to: 2026-12-24T99:00:00\n  reason: holidays\n"
    )

    remedy = "is not a day or time: write it as 2026-12-24 or 2026-12-24T18:00:00"
    assert found == [
        f"4:3: freeze[0].from: '2026-13-01' {remedy}",
        f"5:3: freeze[0].to: '2026-12-24T99:00:00' {remedy}",
    ]


def test_valid_days_and_times_are_read_as_yaml_defines_them(tmp_path: Path) -> None:
    """Spaces and hours of one digit are allowed."""
    file = tmp_path / "promotions.yaml"
    file.write_text("[2026-12-24, 2026-12-24T18:00:00, 2026-1-2 3:04:05 +1]")

    day, moment, short = parse(file).values

    assert (day, moment) == (date(2026, 12, 24), datetime(2026, 12, 24, 18))  # noqa: DTZ001 - as the file has it
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
def test_a_message_shows_only_the_beginning_of_a_value(tmp_path: Path, member: str) -> None:
    """That holds for values of any length in any key; the place in the file identifies the value."""
    text = member.format(long="l" * 3000, nines="9" * 3000)
    found = messages(tmp_path, f"rules:\n- {{name: r, on: request, repositories: [web], to: [prod], {text}}}\n")

    assert found
    for line in found:
        assert not re.search("l{81}|9{81}", line)
        assert len(line) < 500


@pytest.mark.parametrize("document", [LAUGHS, MERGES])
@pytest.mark.parametrize(
    "use", ["rules: *{0}29", "rules:\n- *{0}29", "rules:\n- {{name: *{0}29, repositories: [*{0}29]}}"]
)
def test_aliases_that_expand_to_billions_of_values_are_refused_with_their_line(
    tmp_path: Path, document: str, use: str
) -> None:
    """They are refused before they are expanded, and the message is short."""
    begun = time.process_time()

    (line,) = messages(tmp_path, f"{document}\n{use.format(document[0])}\n")

    assert re.match(r"\d+:\d+: policy: has more than 200,000 values, as each alias", line)
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("text", ["rules: &a [*a]", "rules: &a {b: *a}"])
def test_an_alias_within_its_own_anchor_is_refused(tmp_path: Path, text: str) -> None:
    """The message has its line."""
    (line,) = messages(tmp_path, text)

    assert line.startswith("1:8: policy: has more than")


def test_ordinary_aliases_are_allowed(tmp_path: Path) -> None:
    """Rules may share a list of repositories, and a rule may take keys from another rule and change them."""
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
        ("rules:\n- a: \x07", "2:6: is not YAML: special characters are not allowed"),
        ("rules:\n- [a", "2:5: is not YAML:"),
        ("rules:\n- {? [a]: b}", "2:6: is not YAML: found unhashable key"),
        ("[" * 5000, " is nested too deeply"),
    ],
)
def test_a_file_that_is_not_yaml_is_refused_with_a_line(tmp_path: Path, text: str, message: str) -> None:
    """There is no traceback."""
    assert messages(tmp_path, text)[0].startswith(message)


def test_a_pattern_that_python_cannot_compile_is_a_mistake(tmp_path: Path) -> None:
    """Python raises an OverflowError for this pattern instead of re.error."""
    found = messages(
        tmp_path, RULE.replace("to:", "from: 'a{99999999999999999999}', to:").replace("- {", "rules:\n- {")
    )

    assert "rules[0].from: is not a regular expression" in found[0]
