"""A report as a reader finds it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any


class _Text(HTMLParser):
    """The text of a page, and what its data element holds."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.data = ""
        self.ids: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._inside = str(found.get("id")) if tag == "script" and found.get("id") else tag
        self.ids += [str(found["id"])] if found.get("id") else []

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data
        elif self._inside not in {"script", "style"}:
            self.text.append(data)


@dataclass(frozen=True)
class Page:
    """A report as a reader finds it: all its text in one line, and the data of its charts."""

    path: Path
    text: str
    data: dict[str, Any]
    ids: list[str]


def read(path: Path) -> Page:
    """The page in a file."""
    parser = _Text()
    parser.feed(path.read_text(encoding="utf-8"))
    return Page(path, " ".join(" ".join(parser.text).split()), json.loads(parser.data), parser.ids)
