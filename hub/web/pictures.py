"""Pictures as inline SVG: drawn with attributes alone, as the pages allow no style within them; colours come from the style sheet."""

from collections.abc import Sequence

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
        f'<svg class="spark" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT:.0f}" role="img" aria-label="{words}">'
        f'{area}{curve}<circle cx="{last:.1f}" cy="{end:.1f}" r="2.5"/></svg>'
    )


def bar(part: float, words: str, tone: str = "", mark: float | None = None) -> str:
    """HTML: ``part`` (0 to 1; more is shown as whole) of a bar, with a ``mark`` at another part of it.

    ``words`` say the same to who can't see it.
    """
    width = 100 * min(max(part, 0.0), 1.0)
    line = f'<rect class="mark" x="{100 * mark - 1:.1f}" width="2" height="8"/>' if mark is not None else ""
    return (
        f'<svg class="bar {tone}" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{words}">'
        f'<rect class="whole" width="100" height="8"/><rect class="part" width="{width:.1f}" height="8"/>{line}</svg>'
    )
