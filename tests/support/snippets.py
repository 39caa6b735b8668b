"""What the how-to pages show for CI systems, taken from the pages and run as those systems run it."""

from __future__ import annotations

import json
import re
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.support.runners import PROJECT, run_script

HOW_TO = PROJECT / "docs" / "how-to"
BLOCK = re.compile(r"^<!-- tested: (?P<name>[a-z]+) -->\n```[a-z]+\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
REPOSITORY = "team/web"
"""The repository of the pages; a test has one of its own."""


def snippets(page: str) -> dict[str, str]:
    """Return the blocks of a page that are marked as tested, by their names."""
    return {found["name"]: found["text"] for found in BLOCK.finditer((HOW_TO / f"{page}.md").read_text())}


def gitlab_inputs(name: str = "include") -> dict[str, Any]:
    """Return the inputs that the page about GitLab gives to the component, as arguments for gitlab.run."""
    block = yaml.safe_load(textwrap.dedent(snippets("promote-from-gitlab-ci")[name]))
    inputs = block["include"][0]["inputs"] if "include" in block else block
    return {each.replace("-", "_"): value for each, value in inputs.items()}


def gitlab_trust() -> Any:
    """Return the trust of the role on the page about GitLab."""
    return json.loads(snippets("promote-from-gitlab-ci")["trust"])


def build_of(repository: str) -> str:
    """Return the number of the build that promotes in a repository: keys that have it in them are different."""
    return str(int.from_bytes(repository.encode()))


def run_jenkins(
    name: str, folder: Path, uvx: str, repository: str, environment: Mapping[str, str], *, credential: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the step of a pipeline of the page about Jenkins, which traces each command into the log.

    `environment` counts more than the pipeline's. `credential` is what the pipeline binds to a variable.
    """
    pipeline = snippets("promote-from-jenkins")[name]
    (script,) = re.findall(r"sh '''\n(.*?)'''", pipeline, re.DOTALL)
    script = script.replace("\\\n", "").replace(REPOSITORY, repository)  # as Groovy reads a text in '''
    assert "\\" not in script
    own = dict(re.findall(r"^    (\w+) = '(.*)'$", pipeline, re.MULTILINE))
    bound = re.findall(r"withCredentials\(\[string\(credentialsId: '[\w-]+', variable: '(\w+)'\)\]\)", pipeline)
    assert bool(credential) == bool(bound)
    assert own.keys() >= {"ECR_PROMOTER_API_URL"}
    known = {"BUILD_NUMBER": build_of(repository)} | own | dict(environment) | dict.fromkeys(bound, credential)
    return run_script(("sh", "-xe", "-c"), script, folder, uvx, known)


def run_codebuild(
    folder: Path, uvx: str, repository: str, environment: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the buildspec of the page about CodeBuild: all its commands in one shell, up to the first that fails.

    Nothing is installed. `environment` counts more than the buildspec's.
    """
    spec = yaml.safe_load(snippets("promote-from-codebuild")["buildspec"])
    assert spec["version"] == 0.2  # in version 0.1 each command has a shell of its own
    commands = [line for phase in spec["phases"].values() for line in phase["commands"]]
    script = "\n".join(["pip() { test \"$*\" = 'install uv'; }", *commands]).replace(REPOSITORY, repository)
    known = {"CODEBUILD_BUILD_NUMBER": build_of(repository)} | spec["env"]["variables"] | dict(environment)
    return run_script(("sh", "-e", "-c"), script, folder, uvx, known)
