"""The report as one HTML page: no scripts, nothing fetched, readable without colours and without pictures."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evaluation.plan import EvaluationPlan
from evaluation.report.charts import as_svg
from evaluation.report.contents import Outcome, Table
from evaluation.report.tables import shown

_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
_ENVIRONMENT.filters |= {
    "base64": lambda content: base64.b64encode(content).decode(),
    "shown": shown,
    "svg": lambda chart: Markup(as_svg(chart)),  # noqa: S704 (matplotlib has escaped the names in it)
}


def page(plan: EvaluationPlan, outcomes: Mapping[str, Outcome], command: str) -> str:
    """Return the page: what was evaluated, then per suite its charts, pictures and tables."""
    bundles = Table("bundles", "Classifiers", ("bundle", "digest"), tuple(plan.bundles.items()))
    template = _ENVIRONMENT.get_template("page.html")
    return template.render(plan=plan, outcomes=outcomes, command=command, bundles=bundles)
