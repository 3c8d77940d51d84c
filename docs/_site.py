"""Pages of the site that are kept elsewhere: the README is its start, benchmarks/README.md its figures."""

from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PAGES = {"index.md": "README.md", "figures.md": "benchmarks/README.md"}


def on_files(files, config):
    for page, source in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown, page, **_):
    """Links as they are in the repository, as they are on the site."""
    markdown = markdown.replace("](../benchmarks/README.md", "](figures.md")
    if page.file.src_uri in PAGES:
        markdown = (
            markdown.replace("](docs/", "](")
            .replace("](../docs/", "](")
            .replace("](benchmarks/README.md", "](figures.md")
        )
    return markdown
