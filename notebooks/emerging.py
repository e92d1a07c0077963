# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Which parts must two languages share? (Conneau et al. 2020)
#
# Masked models read two languages, and no game is there in both. What may be taken away before the languages drift
# apart: common words, a common domain, token embeddings, positions, layers? A task is taught in one language;
# *follows* is what the other one gains, as a share of that. The page is `results/emerging`; this is its table.

# %%
# %matplotlib inline
import sys
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display

import mothello
from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies import CRITERIA
from studies.emerging import BASE, TASKS
from studies.numbers import pipe_table
from studies.pages import read_page
from studies.paper import predictions

page, found = read_page("emerging")
display(Markdown(page.answer(found)))
display(Markdown(pipe_table(predictions(page, found))))

# %% [markdown]
# ## The shape of the paper's Table 1
# The difference to the default (`shared`: four anchors, nothing apart), with 95% over seeds in [ ], or over games in
# { } where there are fewer than three.

# %%
rows = {cell: {task: found.difference(cell, BASE, "follows", task) for task in TASKS} for cell in found.planned}
display(pd.DataFrame(rows).T.drop(index=BASE))

# %%
display(page.figure(found))

# %% [markdown]
# ## How much was there to follow
# A share of a small gain is uncertain; so is one of few labels, and `winner` is one label a game. A point
# is a run, shares below -2 lie at -2; to the left of the line nothing counts as learned.

# %%
LOWEST = -2
figure, (axis,) = canvas(1, 3.4)
axis.axvline(CRITERIA.papers["learned"], color=MUTED, linewidth=1)
for color, task in zip(LANGUAGE_COLORS, TASKS, strict=False):
    taught = found.taught[found.taught.stage == task].dropna(subset=["follows"])
    axis.scatter(taught.gain, taught.follows.clip(lower=LOWEST), s=16, color=color, alpha=0.7, label=task)
axis.set(
    xlabel="what the taught language gains, share of labels",
    ylabel="the other's gain / the source's",
)
title(axis, "A small gain makes an uncertain share")
legend_below(figure, [axis])
display(figure)

# %% [markdown]
# ## Models that were trained apart
# The paper's second half: five models that never met, and a bilingual one, compared by maps between their states
# (`results/posthoc`).

# %%
page, found = read_page("posthoc")
display(Markdown(page.answer(found)))
display(page.figure(found))

# %% [markdown]
# A run of your own: `python scripts/study.py +study=emerging scale=mini 'parts=[apart_3/0]'` trains one cell and
# teaches it the tasks; `cells.NAME.train...` of `configs/study/emerging.yaml` is where a new cell goes.
