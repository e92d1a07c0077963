# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # When does realignment help? (Gaschi et al. 2023)
#
# Before it is taught a task, or while it is, a model's states of translated words are pulled together. Which links
# (true ones, a dictionary, one with mistakes, a statistical aligner), which model, which distance of the languages?
# The page is `results/realignment`.

# %%
# %matplotlib inline
import sys
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display

import mothello
from mothello.report.style import LANGUAGE_COLORS, canvas, legend_below, title

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies.correlation import spearman
from studies.numbers import decimal, pipe_table
from studies.pages import read_page
from studies.paper import predictions
from studies.realignment import CELLS, DISTANCES, SCHEDULES, STAGES, WIDTHS, aligners, gain, rhos

page, found = read_page("realignment")
display(Markdown(page.answer(found)))
display(Markdown(pipe_table(predictions(page, found))))

# %% [markdown]
# ## Gain of the other language
# In share of labels read right, over the plain fine-tuning; by distance and width of the model, realigned in every
# way.

# %%
gains = pd.DataFrame(
    {
        f"{aligner} {schedule}": {cell: gain(found, cell, stage) for cell in CELLS}
        for (aligner, schedule), stage in STAGES.items()
    }
)
display(gains.astype(float).round(3))
display(page.figure(found))

# %%
display(Markdown(pipe_table(aligners(found))))

# %% [markdown]
# ## Does alignment after fine-tuning say what is lost?
# The correlations of the paper, overall and within a width or a distance.

# %%
display(Markdown(pipe_table(rhos(found))))

# %% [markdown]
# ## Is there more to gain where less follows without it?
# A point is a setting; Spearman's correlation over the nine in the title.

# %%
figure, axes = canvas(2, 3.2, sharey=True)
for axis, schedule in zip(axes, SCHEDULES, strict=True):
    for distance, color in zip(DISTANCES, LANGUAGE_COLORS, strict=False):
        cells = [f"{distance}_{width}" for width in WIDTHS]
        plain = [found.mean(cell, "follows") for cell in cells]
        axis.scatter(plain, gains.loc[cells, f"gold {schedule}"], color=color, label=distance)
    axis.set(xlabel="follows without realignment")
    plain = [found.mean(cell, "follows") for cell in CELLS]
    title(axis, f"True links, {schedule}: {decimal(float(spearman(plain, gains[f'gold {schedule}'])))}")
axes[0].set_ylabel("gain of the other language")
legend_below(figure, axes)
display(figure)

# %% [markdown]
# ## Inside a realigned model
# `zoo:realigned` is one that was realigned. How alike are the states of its two languages, layer by layer: cosine of
# the same move in the same game, and of moves that have nothing to do with each other.

# %%
run = mothello.load_run("zoo:realigned")
games = run.games(100)
one, other = (run.states(games, name)[:, games >= 0] for name in run.languages)
same = (one * other).sum(-1) / (one.norm(dim=-1) * other.norm(dim=-1))
apart = other.roll(997, 1)
chance = (one * apart).sum(-1) / (one.norm(dim=-1) * apart.norm(dim=-1))
figure, (axis,) = canvas(1, 3.0)
axis.plot(same.mean(1).tolist(), marker="o", color=LANGUAGE_COLORS[0], label="the same move of a game")
axis.plot(chance.mean(1).tolist(), marker="s", color=LANGUAGE_COLORS[1], label="another move")
axis.set(xlabel="layer (0: embeddings)", ylabel="cosine")
axis.set_xticks(range(len(one)))
title(axis, "States of two languages in a realigned model")
legend_below(figure, [axis])
display(figure)
