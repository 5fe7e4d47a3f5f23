"""Charts as SVG that follows the page's own colours, light or dark."""

import io
import re
from itertools import cycle
from typing import Any

from evaluation.errors import EvaluationError
from evaluation.report.contents import Chart

_INK = "#010203"  # stands for the page's text colour, which only the page knows
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f")
"""Told apart with every kind of colour vision (Okabe & Ito), and legible on white and on black."""
_DASHES = ("solid", "dashed", "dashdot", "dotted")
_MARKERS = "osD^vPX*"
_FEW_POINTS = 20


def as_svg(chart: Chart) -> str:
    """Draw a chart; lines differ in dash and marker, too, so that colour is never needed.

    Raises:
        EvaluationError: matplotlib is missing.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError as error:
        raise EvaluationError(f"the report needs matplotlib, of the extra 'train': {error}") from error
    ink = {"axes.edgecolor": _INK, "axes.labelcolor": _INK, "text.color": _INK}
    ticks = {"xtick.color": _INK, "ytick.color": _INK, "legend.labelcolor": _INK, "grid.color": _INK}
    fixed: dict[Any, Any] = {
        **ink,
        **ticks,
        "svg.hashsalt": chart.name,
        "svg.fonttype": "none",
        "font.size": 9,
    }
    with mpl.rc_context(fixed):
        figure = Figure(figsize=(7.2, 3.4 + 0.19 * len(chart.lines)), layout="constrained")
        axes = figure.add_subplot()
        styles = zip(cycle(_COLOURS), cycle(_MARKERS), range(len(chart.lines)), strict=False)
        for line, (colour, marker, place) in zip(chart.lines, styles, strict=True):
            dots = marker if len(line.x) <= _FEW_POINTS else None
            style = _DASHES[place % len(_DASHES)]
            options: dict[str, Any] = {"color": colour, "linestyle": style, "label": line.name}
            if chart.steps:
                axes.step(line.x, line.y, where="mid", **options)
            else:
                axes.plot(line.x, line.y, marker=dots, markersize=4, **options)
        axes.set(xlabel=chart.x_label, ylabel=chart.y_label)
        axes.set_ylim(bottom=0.0)
        axes.grid(alpha=0.2)
        if chart.lines:
            figure.legend(loc="outside lower center", frameon=False, fontsize=8)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    return svg.replace(_INK, "currentColor")
