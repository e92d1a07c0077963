# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Transfer: what one language learns, and what the other makes of it
#
# A model is pretrained on games of one opening, in two languages, and fine-tuned on all games in one of them. Legality
# of both is measured on the way. Runs: `results/mini`.

# %%
# %matplotlib inline
import sys
from pathlib import Path

from IPython.display import Markdown, display

import mothello
from mothello.report.table import table_of
from mothello.report.table import transfer as along
from mothello.report.transfer_figures import transfer_curves

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies import figures as study_figures
from studies.asked import study_runs
from studies.data import finetuned
from studies.numbers import pipe_table
from studies.tables import finetunings

runs = study_runs("finetune")
table = table_of(runs)
curves, scratch = (part[part.opening == ""] for part in (along(table), along(table, control="scratch")))
display(transfer_curves(curves, scratch, along(table, control="chance").value.mean()))

# %% [markdown]
# ## Forgotten, or only not said?
# After fine-tuning a model answers in the language it was tuned on, even when asked in the other: that move counts as
# wrong. Choosing among the language's own tokens shows what is left of the skill.

# %%
rows = finetuned(runs)
columns = [
    "cell",
    "seed",
    "part",
    "before",
    "after",
    "lenient_after",
    "own_before",
    "own_after",
    "wrong_after",
    "scratch",
]
display(rows[columns].round(3))

# %%
display(study_figures.change_figure(rows))

# %% [markdown]
# ## Beside the published curves

# %%
display(Markdown(pipe_table(finetunings(rows, {}))))
