"""Starting and stopping a local AWS, which is reachable from this machine only."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from local import aws, process
from local.aws import LocalAws
from local.server.settings import KEPT, emulator_settings
from local.waiting import wait_until


def listeners(pid: int) -> list[str]:
    """Return the addresses on which a process listens, from /proc (Linux)."""
    sockets = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    found = []
    for family in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{family}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                found.append(fields[1])
    return found


def test_two_local_aws_run_at_once_and_stop_independently(local_aws: LocalAws, tmp_path: Path) -> None:
    """Each has its own directory. A second start returns the first one, a second stop finds nothing to stop."""
    started = process.start(tmp_path)
    try:
        assert started.endpoint_url != local_aws.endpoint_url
        assert process.start(tmp_path) == LocalAws.load(tmp_path) == started
        started.client("ecr").create_repository(repositoryName="only/here")
        names = local_aws.client("ecr").describe_repositories()["repositories"]
        assert "only/here" not in {repository["repositoryName"] for repository in names}
        pid = int((tmp_path / "pid").read_text())
    finally:
        assert process.stop(tmp_path)
    assert not Path(f"/proc/{pid}").exists()
    assert not process.stop(tmp_path)
    assert local_aws.client("sts").get_caller_identity()["Account"] == local_aws.account_id


START = """
import os, pathlib, signal, sys
from local import process
process.start(pathlib.Path(sys.argv[1]), outlives_caller=sys.argv[2] == "outlives")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("kept", ["outlives", "ends"])
def test_a_local_aws_ends_with_the_process_that_started_it(tmp_path: Path, kept: str) -> None:
    """Also where that one was killed, so that no test leaves anything behind. `make local` keeps its own."""
    subprocess.run([sys.executable, "-c", START, tmp_path, kept], cwd=process.ROOT, check=False)
    try:
        if kept == "outlives":
            assert LocalAws.load(tmp_path).control("GET", "ready")
        else:
            pid = int((tmp_path / "pid").read_text())
            assert wait_until(lambda: not is_running(pid), seconds=30)
    finally:
        assert process.stop(tmp_path) is (kept == "outlives")


def is_running(pid: int) -> bool:
    """Say whether a process is there that has not ended; one that nobody has waited for yet has."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()[:1] not in {"", "Z"}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's /proc")
def test_only_one_port_of_the_loopback_interface_is_open(tmp_path: Path) -> None:
    """No MQTT, no SFTP, no other interface."""
    started = process.start(tmp_path)
    try:
        port = int(started.registry.rpartition(":")[2])
        assert listeners(int((tmp_path / "pid").read_text())) == [f"0100007F:{port:04X}"]
    finally:
        process.stop(tmp_path)


def test_a_proxy_in_the_environment_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by SDKs nor by other programs of the machine; addresses that the user excludes stay excluded."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.com")
    monkeypatch.setenv("NO_PROXY", "")
    started = process.start(tmp_path)
    try:
        assert started.client("ecr").describe_repositories()["repositories"] == []
        assert started.control("GET", "calls")["calls"][0]["operation"] == "DescribeRepositories"
        ready = ["curl", "--fail", "--silent", f"{started.endpoint_url}/_local/ready"]
        subprocess.run(ready, check=True, capture_output=True)
        assert started.environment()["NO_PROXY"] == "example.com,127.0.0.1"
    finally:
        process.stop(tmp_path)


def test_the_error_of_a_failed_start_has_the_end_of_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user sees the cause without a search for the log file."""
    monkeypatch.setattr(process, "_free_port", lambda: 99999)
    with pytest.raises(process.NotStarted, match=r"port must be 0-65535|getsockaddrarg|Error"):
        process.start(tmp_path)
    assert not process.stop(tmp_path)


def test_another_program_with_the_same_process_id_is_not_stopped(tmp_path: Path) -> None:
    """The process id in the file may belong to another program by now."""
    other = subprocess.Popen(["sleep", "60"])
    (tmp_path / "pid").write_text(f"{other.pid}\n")
    assert not process.stop(tmp_path)
    assert other.poll() is None
    other.terminate()
    other.wait()


def test_a_shell_can_source_the_environment_file(local_aws: LocalAws, tmp_path: Path) -> None:
    """`env` exports the variables of the local AWS and the additional ones, quoted."""
    local_aws.save(tmp_path)
    path = aws.write_env(tmp_path, {"PROMOTER_API_URL": "http://x/?a=1&b='2'"})
    script = f'. {path} && printf "%s|%s|%s" "$AWS_ENDPOINT_URL" "$REGISTRY" "$PROMOTER_API_URL"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown == f"{local_aws.endpoint_url}|{local_aws.registry}|http://x/?a=1&b='2'"


def test_the_users_environment_does_not_reach_the_emulator(tmp_path: Path) -> None:
    """IAM is always enforced, and functions never get the user's credentials."""
    settings = emulator_settings(4566, "eu-central-1", tmp_path)
    assert settings["AUTH"] == "true"
    assert not {name for name in KEPT if name.startswith(("AWS_", "MINISTACK_"))}
