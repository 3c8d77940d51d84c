"""Pages of the site that are kept elsewhere or made from the code, so that they say what the code does.

The README is the site's start, and three other pages lie where people look for them in a repository. ``_reference.py``
makes the reference.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

import _reference
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
#: Pages of the site, and where they are kept.
ELSEWHERE = {
    "index.md": "README.md",
    "figures.md": "benchmarks/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}


def on_config(config):
    """The pages of the API join the navigation."""
    [reference] = [group["Reference"] for group in config["nav"] if "Reference" in group]
    reference.append({"API": list(_reference.api())})
    return config


def on_files(files, config):
    made = {page: (ROOT / source).read_text(encoding="utf-8") for page, source in ELSEWHERE.items()}
    made |= _reference.api() | {
        "reference/commands.md": _reference.commands(),
        "reference/configuration.md": _reference.configuration(),
        "reference/extensions.md": _reference.extension_points(),
    }
    for page, content in made.items():
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown, page, **_):
    """Links are written as they are in the repository; on the site some pages lie elsewhere."""
    uri = page.file.src_uri
    folder = posixpath.dirname(ELSEWHERE.get(uri, f"docs/{uri}"))
    pages = {source: page for page, source in ELSEWHERE.items()}

    def on_site(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(folder, link[1]))
        path = pages.get(path, path.removeprefix("docs/"))
        return f"]({posixpath.relpath(path, posixpath.dirname(uri) or '.')}"

    return re.sub(r"\]\((?!\w+:)([^)#\s]+)", on_site, markdown)


def on_page_content(html, **_):
    """Sphinx's roles in docstrings become links to what they name."""
    role = r":(?:class|func|meth|mod|attr|data|exc|obj):<code>~?([\w.]+)</code>"
    return re.sub(
        role, lambda m: f'<autoref optional identifier="{m[1]}"><code>{m[1].split(".")[-1]}</code></autoref>', html
    )
