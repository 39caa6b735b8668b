"""Starting and ending a local AWS: beside others, reachable from this machine only, leaving nothing behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from local import aws, process
from local.aws import LocalAws
from local.server.settings import KEPT, emulator_settings


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


def test_two_run_beside_each_other_and_end_alone(local_aws: LocalAws, tmp_path: Path) -> None:
    """Each lives in its directory; a second start finds the first, a second stop finds nothing."""
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


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="reads Linux's /proc")
def test_nothing_listens_but_the_loopback(tmp_path: Path) -> None:
    """One port, on 127.0.0.1: no MQTT, no SFTP, no other interface."""
    started = process.start(tmp_path)
    try:
        port = int(started.registry.rpartition(":")[2])
        assert listeners(int((tmp_path / "pid").read_text())) == [f"0100007F:{port:04X}"]
    finally:
        process.stop(tmp_path)


def test_a_failed_start_shows_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts it reads what went wrong without looking for it."""
    monkeypatch.setattr(process, "_free_port", lambda: 99999)
    with pytest.raises(process.NotStarted, match=r"port must be 0-65535|getsockaddrarg|Error"):
        process.start(tmp_path)
    assert not process.stop(tmp_path)


def test_a_stranger_with_our_number_is_left_alone(tmp_path: Path) -> None:
    """A process id in the file that is by now another program's is not ended."""
    stranger = subprocess.Popen(["sleep", "60"])
    (tmp_path / "pid").write_text(f"{stranger.pid}\n")
    assert not process.stop(tmp_path)
    assert stranger.poll() is None
    stranger.terminate()
    stranger.wait()


def test_the_environment_file_is_read_by_a_shell(local_aws: LocalAws, tmp_path: Path) -> None:
    """`env` exports the variables of the local AWS and what is added, quoted."""
    local_aws.save(tmp_path)
    path = aws.write_env(tmp_path, {"PROMOTER_API_URL": "http://x/?a=1&b='2'"})
    script = f'. {path} && printf "%s|%s|%s" "$AWS_ENDPOINT_URL" "$REGISTRY" "$PROMOTER_API_URL"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    assert shown == f"{local_aws.endpoint_url}|{local_aws.registry}|http://x/?a=1&b='2'"


def test_the_emulator_sees_nothing_of_the_users_environment(tmp_path: Path) -> None:
    """IAM is always enforced, and the function's processes inherit no credential but their own."""
    settings = emulator_settings(4566, "eu-central-1", tmp_path)
    assert settings["AUTH"] == "true"
    assert not {name for name in KEPT if name.startswith(("AWS_", "MINISTACK_"))}
