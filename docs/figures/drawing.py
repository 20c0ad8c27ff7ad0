"""A few shapes of SVG, with colours for light and dark pages and text that stays text."""

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

STYLE = """
text { font-family: system-ui, sans-serif; font-size: 14px; fill: #1d2433; }
.small { font-size: 12px; }
.strong { font-weight: 600; }
.soft { fill: #5a6478; }
.inverse { fill: #ffffff; }
.middle { text-anchor: middle; }
.end { text-anchor: end; }
.paper { fill: #ffffff; }
.box { fill: #f1f4f9; stroke: #a9b4c6; }
.accent { fill: #2f6bd8; }
.warm { fill: #d9822b; }
.faint { fill: #d5dce8; }
.heat { fill: #ff9d2e; }
.line { stroke: #5a6478; stroke-width: 1.5; fill: none; }
.dashed { stroke-dasharray: 4 4; }
.marked { stroke: #ff9d2e; stroke-width: 3; fill: none; }
.tip { fill: #5a6478; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6eaf2; }
  .soft { fill: #a3aec2; }
  .inverse { fill: #10141d; }
  .paper { fill: #161b26; }
  .box { fill: #212938; stroke: #56627a; }
  .accent { fill: #7fa9f5; }
  .warm { fill: #f0a457; }
  .faint { fill: #3a4559; }
  .line { stroke: #a3aec2; }
  .tip { fill: #a3aec2; }
}
"""
ARROW = (
    '<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker>'
)


class Drawing:
    """One picture of a size in pixels, with a title for those who can't see it."""

    def __init__(self, width: int, height: int, title: str) -> None:
        """Starts with an empty page."""
        self._open = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" role="img">'
        )
        self._title = title
        self._definitions: list[str] = [ARROW]
        self._parts: list[str] = []
        self.rectangle(0, 0, width, height, "paper", round_=10)

    def text(self, x: float, y: float, words: str, kind: str = "") -> None:
        """A line of text with its baseline at y; kind: classes of STYLE."""
        self._parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{escape(words)}</text>')

    def lines(self, x: float, y: float, lines: Sequence[str], kind: str = "small") -> None:
        """Lines below each other, the first with its baseline at y."""
        for number, words in enumerate(lines):
            self.text(x, y + 17 * number, words, kind)

    def rectangle(
        self, x: float, y: float, w: float, h: float, kind: str, opacity: float = 1, round_: int = 0
    ) -> None:
        """A filled rectangle; round_: the radius of its corners."""
        more = f' opacity="{opacity:.2f}"' if opacity < 1 else ""
        more += f' rx="{round_}"' if round_ else ""
        self._parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" class="{kind}"{more}/>'
        )

    def box(self, x: float, y: float, w: float, h: float, title: str, lines: Sequence[str]) -> None:
        """A labelled box."""
        self.rectangle(x, y, w, h, "box", round_=8)
        self.text(x + 12, y + 23, title, "strong")
        self.lines(x + 12, y + 43, lines, "small soft")

    def arrow(self, points: str, kind: str = "") -> None:
        """A line through points "x,y x,y ..." with a head at its end."""
        self._parts.append(
            f'<polyline points="{points}" class="line {kind}" marker-end="url(#arrow)"/>'
        )

    def line(self, points: str, kind: str = "") -> None:
        """A line through points "x,y x,y ..."."""
        self._parts.append(f'<polyline points="{points}" class="line {kind}"/>')

    def photo(self, name: str, data: str, side: int) -> None:
        """Keeps a square photo, a `data:` URL, to be placed by `place`."""
        self._definitions.append(
            f'<image id={quoteattr(name)} width="{side}" height="{side}" href="{data}"/>'
        )

    def place(self, name: str, x: float, y: float) -> None:
        """Puts a kept photo at a point."""
        self._parts.append(f'<use href="#{name}" x="{x:g}" y="{y:g}"/>')

    def svg(self) -> str:
        """The whole document."""
        return "\n".join(
            [
                self._open,
                f"<title>{escape(self._title)}</title>",
                f"<style>{STYLE}</style>",
                "<defs>" + "".join(self._definitions) + "</defs>",
                *self._parts,
                "</svg>\n",
            ]
        )
