"""The picture of the floors, from the contract that `make lint` checks: ``python docs/_floors.py`` draws it anew."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "floors.svg"
#: What is on a floor, by one of its rooms.
SAYS = {
    "cli": "the nas-proxy command",
    "nni_plugin": "hosts that train candidates",
    "report": "what people see",
    "search": "what to train, what to ship",
    "ranking": "the methods",
    "devices": "where latencies come from",
    "spaces": "what a network is",
    "extensions": "names, options, YAML, caches",
    "errors": "what everything stands on",
}
COLOURS = ("#283593", "#5e35b1", "#8e24aa", "#ad1457", "#bf360c", "#9a5b00", "#33691e", "#00695c", "#37474f")
WIDTH, HEIGHT, GAP, LEFT, RIGHT = 1000, 50, 10, 250, 70


def floors() -> list[list[str]]:
    """The rooms of each floor, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    there = {path.stem for path in (ROOT / "nas_proxy").iterdir()}
    return [[name for name in re.findall(r"\w+", layer) if name in there and name[0] != "_"] for layer in layers]


def picture() -> str:
    """The picture as SVG."""
    rows = floors()
    height = len(rows) * (HEIGHT + GAP) + GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="15" role="img" aria-labelledby="title">',
        '<title id="title">The floors of nas_proxy: each imports only from those below it</title>',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#f5f5f5"/>',
    ]
    for row, names in enumerate(rows):
        top, middle = GAP + row * (HEIGHT + GAP), GAP + row * (HEIGHT + GAP) + HEIGHT / 2 + 5
        says = next((text for name, text in SAYS.items() if name in names), "")
        lines.append(f'<text x="20" y="{middle:.0f}" fill="#263238">{says}</text>')
        width = (WIDTH - LEFT - RIGHT - GAP * (len(names) - 1)) / len(names)
        for column, name in enumerate(names):
            left = LEFT + column * (width + GAP)
            lines += [
                f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{HEIGHT}" rx="5" '
                f'fill="{COLOURS[row % len(COLOURS)]}"/>',
                f'<text x="{left + width / 2:.0f}" y="{middle:.0f}" fill="#ffffff" text-anchor="middle" '
                f'font-size="{15 if len(name) < 13 else 13}">{name}</text>',
            ]
    right = WIDTH - RIGHT // 2
    lines += [
        f'<path d="M{right - 8} {GAP + 6}V{height - GAP - 6}m-7 -11l7 12l7 -12" fill="none" stroke="#263238" '
        'stroke-width="2.5"/>',
        f'<text transform="translate({right + 8} {height / 2:.0f}) rotate(90)" fill="#263238" '
        'text-anchor="middle">imports</text>',
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture())
