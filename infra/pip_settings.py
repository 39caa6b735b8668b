"""Gives uv the network settings of pip, because uv does not read them.

A private index, a proxy or certificates may be set for pip, in pip.conf or in PIP_* variables. This file
translates them to variables of uv, and leaves uv's variables that are set already as they are.

The set-up runs this file as a script before it installs anything, so the file needs only Python:
`eval "$(python3 infra/pip_settings.py)"`. pip's documentation, "Configuration"; uv's, "Environment variables".
"""

from __future__ import annotations

import os
import shlex
import ssl
import sys
from collections.abc import Iterable, Mapping
from configparser import Error, RawConfigParser
from pathlib import Path

INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS")
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def for_uv(environment: Mapping[str, str], files: Iterable[Path] | None = None) -> dict[str, str]:
    """Return the variables to add to the environment for uv. Raises configparser.Error for a broken pip.conf."""
    options = pip_options(environment, pip_files(environment) if files is None else files)
    return indexes(options, environment) | connection(options, environment)


def pip_files(environment: Mapping[str, str]) -> list[Path]:
    """Return the files in which pip looks for its settings; a later file overrides an earlier one."""
    named = environment.get("PIP_CONFIG_FILE", "")
    if named == os.devnull:
        return []
    home = Path(environment.get("HOME", "~")).expanduser()
    folders = environment.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    machine = [*(Path(folder, "pip") for folder in folders.split(os.pathsep)), Path("/etc")]
    user = [home / ".pip", Path(environment.get("XDG_CONFIG_HOME") or home / ".config", "pip")]
    if sys.platform == "darwin":
        machine.insert(0, Path("/Library/Application Support/pip"))
        user.append(home / "Library/Application Support/pip")
    return [folder / "pip.conf" for folder in [*machine, *user, Path(sys.prefix)]] + (
        [Path(named)] if named else []
    )


def pip_options(environment: Mapping[str, str], files: Iterable[Path]) -> dict[str, str]:
    """Return pip's options: [install] overrides [global], and PIP_* variables override both."""
    parser = RawConfigParser()
    parser.read(files, encoding="utf-8")
    options: dict[str, str] = {}
    for section in ("global", "install"):
        if parser.has_section(section):
            options |= {name.replace("_", "-"): value for name, value in parser.items(section)}
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            options[name.removeprefix("PIP_").lower().replace("_", "-")] = value
    return options


def indexes(options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the package indexes. Folders that do not exist are left out, as pip does; uv would fail."""
    found: dict[str, str] = {}
    links = [link for link in options.get("find-links", "").split() if exists(link)]
    if links and "UV_FIND_LINKS" not in environment:
        found["UV_FIND_LINKS"] = ",".join(links)
    if any(name in environment for name in INDEXES):
        return found
    if options.get("index-url"):
        found["UV_DEFAULT_INDEX"] = options["index-url"]
    extra = [index for index in options.get("extra-index-url", "").split() if exists(index)]
    if extra:
        found["UV_INDEX"] = " ".join(extra)
        # pip takes the best version of all indexes, uv takes the first index that has the name. Every pin has
        # hashes, so that no index can replace a package by another one.
        found |= {} if "UV_INDEX_STRATEGY" in environment else {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    return found


def exists(place: str) -> bool:
    """Say whether a place is a URL, or an existing file or folder of this machine."""
    path = place.removeprefix("file://")
    return ("://" in path) or Path(path).expanduser().exists()


def connection(options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return the connection settings: proxy, certificates, trusted hosts, time-out in seconds."""
    found: dict[str, str] = {}
    if options.get("proxy") and not any(name in environment for name in PROXIES):
        found |= {"HTTPS_PROXY": options["proxy"], "HTTP_PROXY": options["proxy"]}
    if not any(name in environment for name in CERTIFICATES):
        if options.get("cert"):
            found["SSL_CERT_FILE"] = options["cert"]
        elif machine_has_certificates():
            # As pip since 24.2: a company's root certificate is in this list and not in uv's.
            found["UV_SYSTEM_CERTS"] = "true"
    timeout = options.get("timeout") or options.get("default-timeout")
    ours = (
        ("SSL_CLIENT_CERT", options.get("client-cert")),
        ("UV_INSECURE_HOST", " ".join(options.get("trusted-host", "").split())),
        ("UV_HTTP_TIMEOUT", timeout if timeout and timeout.isdigit() else None),
    )
    return found | {name: value for name, value in ours if value and name not in environment}


def machine_has_certificates() -> bool:
    """Say whether the machine has a list of root certificates; a bare Debian has none, uv brings its own."""
    paths = ssl.get_default_verify_paths()
    return (
        sys.platform == "darwin" or bool(paths.cafile) or bool(paths.capath and any(Path(paths.capath).iterdir()))
    )


if __name__ == "__main__":
    try:
        for variable, setting in for_uv(os.environ).items():
            sys.stdout.write(f"export {variable}={shlex.quote(setting)}\n")
    except (Error, UnicodeDecodeError) as error:
        sys.exit(f"set-up: pip's settings cannot be read; correct them: {' '.join(str(error).split())}")
