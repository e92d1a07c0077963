# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Which objective aligns two languages? (Tang et al. 2022)
#
# Masked models see the same budget with MLM, with translated pairs (TLM), with words switched by a dictionary (DICT),
# or with words of the dictionary pulled together (ALIGN). The second language is the first with other words, and
# perhaps read backwards, shuffled in windows, or with its words built in another way. The page is
# `results/align_mlm`.

# %%
# %matplotlib inline
import sys
from pathlib import Path

import pandas as pd
import torch
from IPython.display import Markdown, display
from torch.nn.functional import normalize

import mothello
from mothello.report.style import LANGUAGE_COLORS, canvas, legend_below, title

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies.align_mlm import OBJECTIVES, ORDERS, correlations, swept
from studies.numbers import pipe_table
from studies.pages import read_page
from studies.paper import predictions

page, found = read_page("align_mlm")
display(Markdown(page.answer(found)))
display(Markdown(pipe_table(predictions(page, found))))

# %% [markdown]
# ## What the other language gains, as a share of the source's gain (bracket)

# %%
rows = {
    objective.upper(): {name: found.shown(f"{objective}_{order}", "follows") for order, name in ORDERS.items()}
    for objective in OBJECTIVES
}
display(pd.DataFrame(rows).T)
display(page.figure(found))

# %% [markdown]
# ## Does alignment decide what transfers?
# BS - BZ is what is lost across languages. The paper correlates it with the alignment of token embeddings over cells
# that differ in order and objective at once; the last columns say what is left within one order.

# %%
display(Markdown(pipe_table(correlations(found))))

# %% [markdown]
# ## Strength, coverage, and language ids, in one cell

# %%
display(Markdown(pipe_table(swept(found))))

# %% [markdown]
# ## Look inside one of them
# `zoo:masked_align` was trained with ALIGN on half of the moves. Every state of some games in one language, and the
# state that is nearest to it in the other: how often is that the same place of the same game, or at least the same
# move?

# %%
run = mothello.load_run("zoo:masked_align")
games = run.games(60)
one, other = (normalize(run.states(games, name)[:, games >= 0], dim=-1) for name in run.languages)
nearest, moves = (one @ other.transpose(1, 2)).argmax(-1), games[games >= 0]
same = {
    "the same place of the same game": nearest == torch.arange(len(moves)),
    "the same move": moves[nearest] == moves,
}
figure, (axis,) = canvas(1, 3.0)
for (name, right), color in zip(same.items(), LANGUAGE_COLORS, strict=False):
    axis.plot(right.float().mean(1).tolist(), marker="o", color=color, label=name)
axis.set(xlabel="layer (0: embeddings)", ylabel="share of states", ylim=(-0.03, 1.03))
axis.set_xticks(range(len(one)))
title(axis, "What is nearest in the other language")
legend_below(figure, [axis])
display(figure)
