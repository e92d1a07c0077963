# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Where is the board? Probes layer by layer
#
# A probe reads every cell of the board from the residual stream after a move: a linear map or a small MLP, on absolute
# colors (black, white, empty) or relative ones (mine, theirs, empty). Beside it stand the best constant guess and the
# same probe on a model with random weights. Runs: one language, two naive
# ones and two with one output vocabulary (`results/mini`).

# %%
# %matplotlib inline
import sys
from pathlib import Path

from IPython.display import Markdown, display
from matplotlib import rc_context

import mothello
from mothello.report.board_figure import Drawn, boards_figure
from mothello.report.style import RC, ROLE_COLORS
from mothello.report.table import table_of

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies import figures, tables
from studies.asked import study_runs
from studies.data import probe_errors
from studies.numbers import pipe_table

runs = study_runs("probes")
rows = probe_errors(runs)
display(figures.probe_figure(rows, "single"))

# %% [markdown]
# ## Errors by layer
# In brackets: random weights. Published numbers are those of a larger model on 8x8.

# %%
display(Markdown(pipe_table(tables.probe_errors(rows, "single"))))

# %% [markdown]
# ## Which cells are hard?
# Accuracy of the MLP probe of absolute colors by cell, at the layer of the headline: the edge is easy where it is
# empty for long, the middle changes hands.

# %%
table = table_of(runs)
by_square = table.query(
    "measure == 'probe' and quantity == 'accuracy' and control == 'trained' and probe == 'mlp' and target == 'absolute'"
    " and square != '' and source == language and map == 'identity' and label == 'single'"
)
means = by_square.groupby("square").value.mean()
squares = [f"{column}{row}" for row in range(1, 7) for column in "abcdef"]
display(boards_figure([[Drawn("share read right", [1] * 36, [float(means[square]) for square in squares])]]))

# %% [markdown]
# ## By ply
# After the last two plies one square is left, or none: the next move needs no board any more, and the model keeps none.

# %%
by_ply = table.query(
    "measure == 'probe' and quantity == 'accuracy' and control == 'trained' and probe == 'mlp' and target == 'absolute'"
    " and square == '' and ply == ply and source == language and map == 'identity'"
)
curves = by_ply.pivot_table(index="ply", columns="label", values="value")
with rc_context(RC):
    axis = curves.plot(figsize=(8, 3), ylim=(0.4, 1), ylabel="cells read right", color=ROLE_COLORS)
