"""Tells uv what pip has been told about the network, because uv does not read pip's settings.

Who has a private index, a proxy or certificates of their own has told pip, in pip.conf or in PIP_* variables. uv
gets the same in its own variables. What uv has been told itself is left as it is.

The set-up runs this file as a script before anything is installed, so it needs nothing but Python:
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
    """Return where pip looks for its settings; a later file overrides an earlier one."""
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
    """Return pip's options as `pip install` sees them: [global], over it [install], over it PIP_* variables."""
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
    """Return where packages are. A folder that does not exist is left out, as pip does; uv would stop there."""
    found: dict[str, str] = {}
    links = [link for link in options.get("find-links", "").split() if is_there(link)]
    if links and "UV_FIND_LINKS" not in environment:
        found["UV_FIND_LINKS"] = ",".join(links)
    if any(name in environment for name in INDEXES):
        return found
    if options.get("index-url"):
        found["UV_DEFAULT_INDEX"] = options["index-url"]
    extra = [index for index in options.get("extra-index-url", "").split() if is_there(index)]
    if extra:
        found["UV_INDEX"] = " ".join(extra)
        # pip takes the best version of all indexes, uv the first index that knows the name. Every pin has hashes,
        # so that no index can put something else in the place of a package.
        found |= {} if "UV_INDEX_STRATEGY" in environment else {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    return found


def is_there(place: str) -> bool:
    """Tell whether a place is an address, or a folder or file of this machine that exists."""
    path = place.removeprefix("file://")
    return ("://" in path) or Path(path).expanduser().exists()


def connection(options: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Return how to get there: proxy, certificates, hosts that are trusted without, time-out in seconds."""
    found: dict[str, str] = {}
    if options.get("proxy") and not any(name in environment for name in PROXIES):
        found |= {"HTTPS_PROXY": options["proxy"], "HTTP_PROXY": options["proxy"]}
    if not any(name in environment for name in CERTIFICATES):
        if options.get("cert"):
            found["SSL_CERT_FILE"] = options["cert"]
        elif machine_has_certificates():
            found["UV_SYSTEM_CERTS"] = (
                "true"  # as pip since 24.2: a company's root is there and not in uv's own list
            )
    timeout = options.get("timeout") or options.get("default-timeout")
    ours = (
        ("SSL_CLIENT_CERT", options.get("client-cert")),
        ("UV_INSECURE_HOST", " ".join(options.get("trusted-host", "").split())),
        ("UV_HTTP_TIMEOUT", timeout if timeout and timeout.isdigit() else None),
    )
    return found | {name: value for name, value in ours if value and name not in environment}


def machine_has_certificates() -> bool:
    """Tell whether the machine's own list of roots is there; a bare Debian has none, uv always brings one."""
    paths = ssl.get_default_verify_paths()
    return (
        sys.platform == "darwin" or bool(paths.cafile) or bool(paths.capath and any(Path(paths.capath).iterdir()))
    )


if __name__ == "__main__":
    try:
        for variable, setting in for_uv(os.environ).items():
            sys.stdout.write(f"export {variable}={shlex.quote(setting)}\n")
    except (Error, UnicodeDecodeError) as error:
        sys.exit(f"set-up: pip's settings cannot be read, correct them: {' '.join(str(error).split())}")
