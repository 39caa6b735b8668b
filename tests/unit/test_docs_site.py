"""The site of the docs finds the pages of its folders, and asks no other host for anything."""

from __future__ import annotations

import json
import logging
import posixpath
import re
from pathlib import Path

import pytest
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import ConfigurationError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from scripts import docs_site

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "reference" / "openapi.html"


@pytest.fixture
def config(tmp_path: Path) -> MkDocsConfig:
    """A site of three pages in a folder, and one beside it."""
    for name in ("index.md", "runs/b.md", "runs/a.md", "runs/index.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("# A page")
    configured = MkDocsConfig()
    configured.load_dict({"site_name": "A site", "docs_dir": str(tmp_path)})
    configured.validate()
    return configured


def test_a_folder_stands_for_the_pages_that_are_not_named(config: MkDocsConfig) -> None:
    """Its index comes first, then the others by name."""
    config.nav = ["index.md", {"Runs": ["runs/b.md", "runs/"]}]

    expanded = docs_site.on_config(config).nav

    assert expanded == ["index.md", {"Runs": ["runs/b.md", "runs/index.md", "runs/a.md"]}]


@pytest.mark.parametrize(
    ("html", "warns"),
    [
        ('<script src="https://cdn.example/x.js"></script>', True),
        ('<link rel="stylesheet" href=//fonts.example/css>', True),
        ('<img alt="" src="http://example.com/x.png">', True),
        ('<script src="assets/mermaid.js"></script>', False),
        ('<a href="https://docs.aws.amazon.com/">AWS</a>', False),
    ],
)
def test_a_page_that_asks_another_host_is_warned_of(
    config: MkDocsConfig, caplog: pytest.LogCaptureFixture, html: str, *, warns: bool
) -> None:
    """A strict build fails at a warning. A link that a reader may follow is fine."""
    page = Page(None, File("index.md", config.docs_dir, config.site_dir, use_directory_urls=True), config)

    with caplog.at_level(logging.WARNING, "mkdocs"):
        assert docs_site.on_post_page(html, page, config=config) == html

    assert bool(caplog.records) is warns


def test_without_its_scripts_the_build_says_what_to_do(config: MkDocsConfig, tmp_path: Path) -> None:
    """The drawings would stay text, and the page of the API empty."""
    config.config_file_path = str(tmp_path / "mkdocs.yml")

    with pytest.raises(ConfigurationError, match="make setup"):
        docs_site.on_files(Files([]), config)


def test_the_page_of_the_api_may_load_nothing_from_other_hosts() -> None:
    """Its policy names no host, and neither does what it loads."""
    page = PAGE.read_text()
    policy = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)

    sources = {source for part in policy[0].split("; ") for source in part.split()[1:]}
    assert policy[0].startswith("default-src 'none'; ")
    assert sources == {"'none'", "'self'", "'unsafe-inline'", "data:"}
    assert "script-src 'self';" in policy[0]
    assert docs_site.LOADED.findall(page) == []


def test_the_page_of_the_api_shows_every_member_of_a_body() -> None:
    """Alternatives would hide them. The document itself keeps the alternatives, and nothing else is left out."""
    document = json.loads((DOCS / "openapi.json").read_text())

    shown = docs_site.as_shown(document)

    bodies = shown["components"]["schemas"]
    for name, schema in document["components"]["schemas"].items():
        assert bodies[name].get("properties") == schema.get("properties")
        assert "properties" not in schema or not {"oneOf", "anyOf", "not"} & set(bodies[name])
    assert "oneOf" in document["components"]["schemas"]["PromotionBody"]
    assert shown["paths"] == document["paths"]


def test_a_code_sample_has_a_token() -> None:
    """The page takes the first scheme. A signature cannot be written into a sample."""
    shown = docs_site.as_shown(json.loads((DOCS / "openapi.json").read_text()))

    assert shown["security"] == [{"jwt": []}, {"sigv4": []}]


def test_what_the_page_of_the_api_names_is_in_the_site() -> None:
    """Its scripts, its document and its links. MkDocs checks the links of Markdown only."""
    page = PAGE.read_text()
    built = {*docs_site.SCRIPTS, docs_site.SHOWN, "assets/images/favicon.png", "reference/openapi", "openapi.json"}

    named = re.findall(r'(?:src|href|data-url)="([^"]*)"', page)

    assert named
    assert {posixpath.normpath(posixpath.join("reference", name)) for name in named} <= built


def test_the_page_of_the_api_has_no_feature_of_a_cloud() -> None:
    """No requests from the page, no telemetry, nothing to ask or to share."""
    (found,) = re.findall(r"data-configuration='([^']*)'", PAGE.read_text())

    configuration = json.loads(found)

    assert configuration["hideTestRequestButton"] is configuration["hideClientButton"] is True
    assert configuration["telemetry"] is configuration["withDefaultFonts"] is False
    assert configuration["agent"] == configuration["mcp"] == {"disabled": True}
    assert configuration["showDeveloperTools"] == "never"
    assert "proxyUrl" not in configuration
