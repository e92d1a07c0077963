# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Other papers: what transfers, and how alike the languages are
#
# A model that was trained on two languages is taught a task in one of them. What the other one gains, as a share of
# that gain, is what transfers. First, one run of each objective. Runs: `results/first`.

# %%
# %matplotlib inline
import sys
from pathlib import Path

from IPython.display import Markdown, display

import mothello
from mothello.report.runs import find_runs
from mothello.report.style import LANGUAGE_COLORS, canvas, title

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies import RESULTS
from studies.asked import study_of
from studies.numbers import pipe_table
from studies.pages import OTHER_PAPERS
from studies.paper import found_of, of_study, predictions

study = study_of("first", "mini")
first = found_of(study, of_study(study, find_runs([str(RESULTS / "first")])))
known = first.runs.merge(first.taught, on=["cell", "seed", "board"])
display(known[["cell", "verdict", "own", "raw", "neighbours", "source", "target", "follows"]].round(3))

# %% [markdown]
# ## Two ways to say how alike they are
# Left, cells that probes of one language read in the other; right, moves whose nearest token embedding in the other
# language is the same move.

# %%
figure, axes = canvas(2, 3.4, sharey=True)
for axis, column, name in zip(axes, ("raw", "neighbours"), ("Probes, as they are", "Token embeddings"), strict=True):
    axis.scatter(known[column], known.follows, color=LANGUAGE_COLORS[0])
    for row in known.itertuples():
        axis.annotate(
            row.cell, (getattr(row, column), row.follows), fontsize=7, xytext=(3, 3), textcoords="offset points"
        )
    title(axis, name)
axes[0].set_ylabel("the other's gain / the source's")
display(figure)

# %% [markdown]
# ## One of the papers
# Its cells, its predictions and its figure, from the runs of its study below `results/mini`; a run that is not there
# leaves a prediction open. Any other of these may stand in the place of `emerging`.

# %%
print(*OTHER_PAPERS, sep=", ")
page = OTHER_PAPERS["emerging"]
study = study_of(page.study, "mini")
folders = [RESULTS / "mini" / cell for cell in study.cells]
runs = of_study(study, find_runs([str(folder) for folder in folders if folder.is_dir()]))
found = found_of(study, runs, page)
display(Markdown(pipe_table(predictions(page, found))))

# %%
if len(found.taught) or len(found.more):
    display(page.figure(found))
