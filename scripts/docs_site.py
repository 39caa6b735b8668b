"""Adds to mkdocs.yml: folders in the navigation, pinned scripts, and a check for requests to third parties.

MkDocs calls these functions by their names: https://www.mkdocs.org/dev-guide/plugins/#events
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import ConfigurationError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

SCRIPTS = {
    "assets/mermaid.js": Path("node_modules/@mermaid-js/tiny/dist/mermaid.tiny.js"),
    # Scalar, which shows openapi.json. This package has it as one file, and few dependencies.
    "assets/scalar.js": Path("node_modules/@scalar/fastify-api-reference/dist/js/standalone.js"),
}
SHOWN = "reference/openapi-shown.json"
"""The document that the page of the API shows."""
LOADING = "script|img|iframe|source|link|video"
LOADED = re.compile(rf"<(?:{LOADING})\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")
"""The address of another host that a browser fetches by itself, unlike that of `<a href>`."""

log = logging.getLogger("mkdocs.hooks.docs_site")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put the pages of a folder in the place of its name in the navigation."""
    nav = config.nav or []
    config.nav = _expanded(nav, Path(config.docs_dir), set(_named(nav)))
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the scripts to the site. Raises ConfigurationError where one is not installed."""
    for name, installed in SCRIPTS.items():
        source = Path(config.config_file_path).parent / installed
        if not source.is_file():
            raise ConfigurationError(f"{installed} is missing: run `make setup`")
        files.append(File.generated(config, name, abs_src_path=str(source)))
    document = Path(config.docs_dir) / "openapi.json"
    if document.is_file():
        shown = json.dumps(as_shown(json.loads(document.read_text())))
        files.append(File.generated(config, SHOWN, content=shown))
    return files


def as_shown(document: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the OpenAPI document for the page.

    Scalar shows alternatives instead of the members beside them, so the copy has none. Its code samples have the
    first scheme of `security`: a token can be pasted into a sample, a signature with SigV4 cannot.
    """
    schemas = {name: _without_alternatives(schema) for name, schema in document["components"]["schemas"].items()}
    security = sorted(document["security"], key=lambda scheme: "jwt" not in scheme)
    return {**document, "security": security, "components": {**document["components"], "schemas": schemas}}


def _without_alternatives(schema: dict[str, Any]) -> dict[str, Any]:
    alternatives = {"oneOf", "anyOf", "not"} if "properties" in schema else set()
    return {keyword: value for keyword, value in schema.items() if keyword not in alternatives}


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Warn of a page that loads something from another host; a strict build fails then."""
    for address in LOADED.findall(output):
        log.warning("%s loads %s: the site may load nothing from third parties", page.file.src_uri, address)
    return output


def _named(entry: Any) -> Iterator[str]:
    """Yield every path of the navigation."""
    if isinstance(entry, str):
        yield entry
    else:
        for each in entry.values() if isinstance(entry, dict) else entry:
            yield from _named(each)


def _expanded(entries: list[Any], docs: Path, named: set[str]) -> list[Any]:
    """Return a list of the navigation with the pages of folders that it does not name itself."""
    expanded: list[Any] = []
    for entry in entries:
        if isinstance(entry, dict):
            ((title, part),) = entry.items()
            expanded.append({title: _expanded(part, docs, named) if isinstance(part, list) else part})
        elif entry.endswith("/"):
            pages = sorted((docs / entry).glob("*.md"), key=_index_first)
            paths = (page.relative_to(docs).as_posix() for page in pages)
            expanded += [path for path in paths if path not in named]
        else:
            expanded.append(entry)
    return expanded


def _index_first(page: Path) -> tuple[bool, str]:
    return page.name != "index.md", page.name
