"""The report as one HTML page: no scripts, nothing fetched, readable without colours and without pictures."""

import base64
from collections.abc import Mapping
from html import escape

from evaluation.plan import EvaluationPlan
from evaluation.report.charts import as_svg
from evaluation.report.contents import Chart, Outcome, Picture, Table
from evaluation.report.tables import as_html

_LONG = 40  # rows; a longer table is folded

_STYLE = """
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 22%, transparent); }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 68rem; padding: 1rem; }
h1 { font-size: 1.6rem; } h2 { border-bottom: 1px solid var(--line); margin-top: 2.5rem; }
pre { background: color-mix(in srgb, currentColor 7%, transparent); padding: .6rem .8rem; }
pre { white-space: pre-wrap; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
caption { font-weight: 600; padding: .4rem 0; text-align: left; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .6rem; text-align: right; }
th:first-child, td:first-child, td.text { text-align: left; }
figure { margin: 1.5rem 0; } figure svg, figure img { height: auto; max-width: 100%; }
figcaption, .note { font-size: .9rem; opacity: .85; }
"""


def page(plan: EvaluationPlan, outcomes: Mapping[str, Outcome], command: str) -> str:
    """Return the page: what was evaluated, then per suite its charts, pictures and tables."""
    names = ", ".join(plan.bundles)
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Evaluation of {escape(names)}</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>Evaluation of {escape(names)}</h1>",
        f"<p>{_images(plan)} Seed {plan.seed}. Made by:</p><pre><code>{escape(command)}</code></pre>",
        _bundles(plan),
    ]
    for suite, outcome in outcomes.items():
        parts.append(f'<section aria-labelledby="{suite}"><h2 id="{suite}">{suite.capitalize()}</h2>')
        parts += [_chart(chart) for chart in outcome.charts]
        parts += [_picture(picture) for picture in outcome.pictures]
        parts += [_table(table) for table in (*outcome.tables, *outcome.timings)]
        parts.append("</section>")
    return "\n".join([*parts, "</main></body></html>", ""])


def _images(plan: EvaluationPlan) -> str:
    which = "from the first on" if plan.every == 1 else f"every {plan.every}th from the first on"
    return f"At most {plan.images} test images of {escape(plan.dataset)}, {which}."


def _bundles(plan: EvaluationPlan) -> str:
    rows = tuple((name, digest) for name, digest in plan.bundles.items())
    return _table(Table("bundles", "Classifiers", ("bundle", "digest"), rows))


def _chart(chart: Chart) -> str:
    names = ", ".join(line.name for line in chart.lines)
    label = f"{chart.title}: {chart.y_label} over {chart.x_label}, of {names}. The tables have the numbers."
    return (
        f'<figure><div role="img" aria-label="{escape(label)}">{as_svg(chart)}</div>'
        f"<figcaption>{escape(chart.title)}</figcaption></figure>"
    )


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode()
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{escape(picture.alt)}">'
        f"<figcaption>{escape(picture.title)}. {escape(picture.alt)}</figcaption></figure>"
    )


def _table(table: Table) -> str:
    if len(table.rows) <= _LONG:
        return as_html(table)
    words = f"{escape(table.title)}: {len(table.rows)} rows, also in {escape(table.name)}.csv"
    return f"<details><summary>{words}</summary>{as_html(table)}</details>"
