"""uv finds the packages that pip would find if an index, a proxy or certificates are set for pip."""

from __future__ import annotations

import subprocess
import sys
from configparser import Error
from pathlib import Path

import pytest

from infra import pip_settings

PRIVATE = "https://user:word@packages.example/simple"


def test_variables_of_pip_reach_uv() -> None:
    """An index, a proxy, certificates and a time-out that are set for pip apply to uv too."""
    environment = {
        "PIP_INDEX_URL": PRIVATE,
        "PIP_PROXY": "http://proxy.example:3128",
        "PIP_CERT": "/etc/company.pem",
        "PIP_TRUSTED_HOST": "packages.example other.example",
        "PIP_DEFAULT_TIMEOUT": "180",
    }

    assert pip_settings.for_uv(environment, []) == {
        "UV_DEFAULT_INDEX": PRIVATE,
        "HTTPS_PROXY": "http://proxy.example:3128",
        "HTTP_PROXY": "http://proxy.example:3128",
        "SSL_CERT_FILE": "/etc/company.pem",
        "UV_INSECURE_HOST": "packages.example other.example",
        "UV_HTTP_TIMEOUT": "180",
    }


def test_settings_of_pip_reach_uv(tmp_path: Path) -> None:
    """As for pip, [install] overrides [global], a variable overrides both, and a later file an earlier one."""
    machine, user = tmp_path / "machine.conf", tmp_path / "user.conf"
    machine.write_text("[global]\nindex-url = https://old.example/simple\ncert = /old.pem\n")
    user.write_text(f"[global]\ncert = /user.pem\ntimeout = 5\n[install]\nindex_url = {PRIVATE}\n")
    files = [machine, user, tmp_path / "missing.conf"]

    found = pip_settings.for_uv({"PIP_TIMEOUT": "60"}, files)

    assert found == {"UV_DEFAULT_INDEX": PRIVATE, "SSL_CERT_FILE": "/user.pem", "UV_HTTP_TIMEOUT": "60"}


def test_uv_treats_several_indexes_as_one_like_pip(tmp_path: Path) -> None:
    """The best version of all indexes counts, and uv ignores a folder that does not exist, like pip."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    environment = {
        "PIP_EXTRA_INDEX_URL": f"https://a.example/simple file://{wheels} file://{tmp_path}/gone",
        "PIP_FIND_LINKS": f"{wheels} {tmp_path}/gone https://links.example/",
        "PIP_CERT": "/etc/company.pem",
    }

    found = pip_settings.for_uv(environment, [])

    assert found["UV_INDEX"] == f"https://a.example/simple file://{wheels}"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"
    assert found["UV_FIND_LINKS"] == f"{wheels},https://links.example/"


@pytest.mark.parametrize(
    ("pip", "uv"),
    [
        ("PIP_INDEX_URL", "UV_DEFAULT_INDEX"),
        ("PIP_INDEX_URL", "UV_INDEX_URL"),
        ("PIP_EXTRA_INDEX_URL", "UV_INDEX"),
        ("PIP_PROXY", "HTTPS_PROXY"),
        ("PIP_CERT", "SSL_CERT_FILE"),
        ("PIP_TIMEOUT", "UV_HTTP_TIMEOUT"),
    ],
)
def test_a_variable_of_uv_that_is_set_is_not_changed(pip: str, uv: str) -> None:
    """A setting of pip does not override it."""
    found = pip_settings.for_uv({pip: "7", uv: "own", "UV_SYSTEM_CERTS": "false"}, [])

    assert found == {}


def test_uv_trusts_the_certificates_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """So does pip. If the machine has no list of certificates, uv uses its own."""
    monkeypatch.setattr(pip_settings, "machine_has_certificates", lambda: True)
    assert pip_settings.for_uv({}, []) == {"UV_SYSTEM_CERTS": "true"}

    monkeypatch.setattr(pip_settings, "machine_has_certificates", lambda: False)
    assert pip_settings.for_uv({}, []) == {}


def test_pip_files_are_read_where_pip_reads_them(tmp_path: Path) -> None:
    """The order is: machine, user, PIP_CONFIG_FILE. The null device as PIP_CONFIG_FILE means no file."""
    files = pip_settings.pip_files({"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/own.conf"})

    assert Path("/etc/pip.conf") in files
    assert files.index(Path("/etc/pip.conf")) < files.index(tmp_path / ".config" / "pip" / "pip.conf")
    assert files[-1] == Path("/own.conf")
    assert pip_settings.pip_files({"PIP_CONFIG_FILE": "/dev/null"}) == []


def test_a_broken_file_is_reported_in_one_line(tmp_path: Path) -> None:
    """The set-up stops with the file and the line, without a traceback."""
    broken = tmp_path / "pip.conf"
    broken.write_text("index-url = https://packages.example\n")
    with pytest.raises(Error):
        pip_settings.for_uv({}, [broken])

    done = subprocess.run(
        [sys.executable, pip_settings.__file__],
        env={"PIP_CONFIG_FILE": str(broken)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert str(broken) in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_shell_can_evaluate_the_output(tmp_path: Path) -> None:
    """The script prints exports; a password may have any characters."""
    secret = "https://u:it's$HOME@packages.example/simple"  # a password with a quote and a dollar sign

    done = subprocess.run(
        ["sh", "-c", f'eval "$({sys.executable} {pip_settings.__file__})" && printf %s "$UV_DEFAULT_INDEX"'],
        env={"PIP_INDEX_URL": secret, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == secret
