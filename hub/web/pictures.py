"""Pictures as inline SVG: drawn with attributes alone, as the pages allow no style within them; colours come from the style sheet."""

from collections.abc import Sequence

from tornado.escape import xhtml_escape

_WIDTH, _HEIGHT = 120.0, 28.0
_MARGIN = 3.0


def sparkline(counts: Sequence[int], words: str) -> str:
    """HTML: how ``counts`` went, the earliest first, on a scale that begins at 0 where they vary much, else nearer to them.

    ``words`` say the same to who can't see it.
    """
    if not counts:
        return ""
    high = max(counts)
    low = min(counts)
    floor = 0.0 if low < high * 0.5 else low - max(high - low, high * 0.05, 1)
    step = (_WIDTH - 2 * _MARGIN) / max(len(counts) - 1, 1)
    reach = max(high - floor, 1)
    points = [
        (_MARGIN + step * number, _HEIGHT - _MARGIN - (count - floor) / reach * (_HEIGHT - 2 * _MARGIN))
        for number, count in enumerate(counts)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    (first, _), (last, end) = points[0], points[-1]
    area = f'<polygon points="{first:.1f},{_HEIGHT:.0f} {line} {last:.1f},{_HEIGHT:.0f}"/>' if len(points) > 1 else ""
    curve = f'<polyline points="{line}"/>' if len(points) > 1 else ""
    return (
        f'<svg class="spark" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{xhtml_escape(words)}">'
        f'{area}{curve}<circle cx="{last:.1f}" cy="{end:.1f}" r="2.5"/></svg>'
    )


def bar(part: float, words: str, tone: str = "", mark: float | None = None) -> str:
    """HTML: ``part`` (0 to 1; more is shown as whole) of a bar, with a ``mark`` at another part of it.

    ``words`` say the same to who can't see it.
    """
    width = 100 * min(max(part, 0.0), 1.0)
    line = f'<rect class="mark" x="{100 * mark - 1:.1f}" width="2" height="8"/>' if mark is not None else ""
    return (
        f'<svg class="bar {tone}" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{xhtml_escape(words)}">'
        f'<rect class="whole" width="100" height="8"/><rect class="part" width="{width:.1f}" height="8"/>{line}</svg>'
    )


def columns(values: Sequence[tuple[float, str, str]], words: str) -> str:
    """HTML: one column for each of ``values``, which are its height, its tone, and what is said where the pointer rests on it.

    Few columns stand at the right: there is the newest.
    """
    high = max((value for value, _, _ in values), default=0) or 1
    width = 1000 / max(len(values), 24)
    left = 1000 - width * len(values)
    drawn = []
    for place, (value, tone, told) in enumerate(values):
        height = max(56 * value / high, 2)
        x, gap = left + place * width, min(width * 0.2, 6)
        drawn.append(
            f'<g><title>{xhtml_escape(told)}</title><rect class="ground" x="{x:.1f}" width="{width:.1f}" height="60"/>'
            f'<rect class="column {tone}" x="{x + gap / 2:.1f}" y="{60 - height:.1f}" width="{width - gap:.1f}" height="{height:.1f}"/></g>'
        )
    return (
        f'<svg class="columns-picture" viewBox="0 0 1000 60" preserveAspectRatio="none" role="img" aria-label="{xhtml_escape(words)}">'
        f"{''.join(drawn)}</svg>"
    )
