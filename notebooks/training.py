# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Training, and the loss that no model can go below
#
# A run's folder holds every number of its training. Here: the committed mini runs of two naive languages, of four
# anchors and of one output vocabulary (`results/mini`, 6x6). The same figures for any folder: `python
# scripts/report.py runs=[...]`.

# %%
# %matplotlib inline
import sys
from pathlib import Path

from IPython.display import display

import mothello
from mothello.report import figures
from mothello.report.table import by_ply, final_legality, table_of, training

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies.asked import study_runs
from studies.data import cell_table

runs = [run for run in study_runs("table1") if run.name in ("naive", "anchor_4", "unified")]
table = table_of(runs)
display(figures.training_curves(training(table)))

# %% [markdown]
# ## The floor
# Games are random, so no model can know the next move: the best loss is the entropy of what is legal, and, where an
# anchor hides the language, of which language goes on. What a model could still learn is the excess above that floor.

# %%
columns = ["label", "seed", "language", "loss", "floor", "excess_nats"]
display(final_legality(table)[columns].round(3))

# %% [markdown]
# ## Legal for whom?
# Published code accepted a move that is legal for either color. Strict means legal for the side to move. Chance is a
# random empty square.

# %%
columns = ["label", "seed", "language", "top1", "lenient", "mass", "wrong_language", "chance"]
display(final_legality(table)[columns].round(3))

# %%
display(figures.ply_curves(by_ply(table)))

# %% [markdown]
# ## Seeds side by side
# `legal` is measured on held-out games of the training distribution; below .97 a run counts as not having learned.

# %%
display(cell_table(runs)[["cell", "seed", "games", "legal", "learned", "strict", "lenient"]].round(3))
