"""uv finds the packages that pip would find, where pip was told about an index, a proxy or certificates."""

from __future__ import annotations

import subprocess
import sys
from configparser import Error
from pathlib import Path

import pytest

from infra import pip_settings

PRIVATE = "https://user:word@packages.example/simple"


def test_variables_of_pip_reach_uv() -> None:
    """An index, a proxy, certificates and a time-out set for pip are uv's too."""
    told = {
        "PIP_INDEX_URL": PRIVATE,
        "PIP_PROXY": "http://proxy.example:3128",
        "PIP_CERT": "/etc/company.pem",
        "PIP_TRUSTED_HOST": "packages.example other.example",
        "PIP_DEFAULT_TIMEOUT": "180",
    }

    assert pip_settings.for_uv(told, []) == {
        "UV_DEFAULT_INDEX": PRIVATE,
        "HTTPS_PROXY": "http://proxy.example:3128",
        "HTTP_PROXY": "http://proxy.example:3128",
        "SSL_CERT_FILE": "/etc/company.pem",
        "UV_INSECURE_HOST": "packages.example other.example",
        "UV_HTTP_TIMEOUT": "180",
    }


def test_settings_of_pip_reach_uv(tmp_path: Path) -> None:
    """[install] counts over [global], a variable over both, a later file over an earlier one, as for pip."""
    machine, user = tmp_path / "machine.conf", tmp_path / "user.conf"
    machine.write_text("[global]\nindex-url = https://old.example/simple\ncert = /old.pem\n")
    user.write_text(f"[global]\ncert = /user.pem\ntimeout = 5\n[install]\nindex_url = {PRIVATE}\n")
    files = [machine, user, tmp_path / "missing.conf"]

    found = pip_settings.for_uv({"PIP_TIMEOUT": "60"}, files)

    assert found == {"UV_DEFAULT_INDEX": PRIVATE, "SSL_CERT_FILE": "/user.pem", "UV_HTTP_TIMEOUT": "60"}


def test_several_indexes_are_one_to_uv_as_they_are_to_pip(tmp_path: Path) -> None:
    """The best version of all indexes counts; a folder that is not there is left out, as pip does."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    told = {
        "PIP_EXTRA_INDEX_URL": f"https://a.example/simple file://{wheels} file://{tmp_path}/gone",
        "PIP_FIND_LINKS": f"{wheels} {tmp_path}/gone https://links.example/",
        "PIP_CERT": "/etc/company.pem",
    }

    found = pip_settings.for_uv(told, [])

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
def test_what_uv_was_told_itself_stands(pip: str, uv: str) -> None:
    """Who sets uv's own variable means it: pip's setting does not override it."""
    found = pip_settings.for_uv({pip: "7", uv: "own", "UV_SYSTEM_CERTS": "false"}, [])

    assert found == {}


def test_a_company_root_on_the_machine_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine trusts, pip trusts, and so does uv here, unless the machine has no such list."""
    monkeypatch.setattr(pip_settings, "machine_has_certificates", lambda: True)
    assert pip_settings.for_uv({}, []) == {"UV_SYSTEM_CERTS": "true"}

    monkeypatch.setattr(pip_settings, "machine_has_certificates", lambda: False)
    assert pip_settings.for_uv({}, []) == {}


def test_pip_files_are_read_where_pip_reads_them(tmp_path: Path) -> None:
    """The machine's, the user's, and one that PIP_CONFIG_FILE names, last; the null device means none at all."""
    files = pip_settings.pip_files({"HOME": str(tmp_path), "PIP_CONFIG_FILE": "/own.conf"})

    assert Path("/etc/pip.conf") in files
    assert files.index(Path("/etc/pip.conf")) < files.index(tmp_path / ".config" / "pip" / "pip.conf")
    assert files[-1] == Path("/own.conf")
    assert pip_settings.pip_files({"PIP_CONFIG_FILE": "/dev/null"}) == []


def test_a_broken_file_is_told_in_one_line(tmp_path: Path) -> None:
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


def test_a_shell_reads_what_is_printed(tmp_path: Path) -> None:
    """Run as a script it prints exports, whatever characters a password has."""
    secret = "https://u:it's$HOME@packages.example/simple"  # a password with a quote and a dollar sign

    done = subprocess.run(
        ["sh", "-c", f'eval "$({sys.executable} {pip_settings.__file__})" && printf %s "$UV_DEFAULT_INDEX"'],
        env={"PIP_INDEX_URL": secret, "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == secret
