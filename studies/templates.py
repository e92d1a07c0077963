"""Templates of pages, filled."""

import re
from collections.abc import Mapping
from typing import Any

import jinja2

from studies import FOLDER, numbers

FILTERS = {
    "decimal": numbers.decimal, "mean": numbers.mean, "middle": numbers.middle, "plain": numbers.plain,
    "percent": numbers.percent, "table": numbers.pipe_table, "thousands": "{:,}".format, "text": numbers.text,
}  # fmt: skip
"""What every template may use."""


def filled(template: str, filters: Mapping[str, Any] = {}, **words: Any) -> str:
    """The text of a template of this folder; a name that it lacks is an error."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= FILTERS | dict(filters)
    text = environment.get_template(template).render(**words)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
