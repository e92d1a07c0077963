# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Shares, facts and false friends (Schaefer et al. 2024, Li et al. 2024)
#
# Three smaller studies. What is a game worth to the rarer of two languages? Do facts that are taught in one language
# come over to the other, when words were aligned before any text? And does a shared word help when it means something
# else? Their pages are `results/imbalance`, `results/prealign` and `results/false_friends`.

# %%
# %matplotlib inline
import sys
from pathlib import Path

from IPython.display import Markdown, display

import mothello
from mothello.report.style import LANGUAGE_COLORS, MUTED, canvas, legend_below, title

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies.asked import study_runs
from studies.numbers import pipe_table
from studies.pages import read_page
from studies.paper import predictions

page, found = read_page("imbalance")
display(Markdown(page.answer(found)))
display(Markdown(pipe_table(predictions(page, found))))
display(page.figure(found))

# %% [markdown]
# ## The ladder behind it
# A game of a language in company is worth as many games of that language alone as bring a model of one as far. The
# line is those models of one language; the crosses are languages of pairs, at the games that they saw.

# %%
runs = study_runs("imbalance")
alone = sorted(
    (run.config["data"]["games"], run.results["final"]["val/excess_nats"]) for run in runs if len(run.languages) == 1
)
figure, (axis,) = canvas(1, 3.4)
axis.plot(*zip(*alone, strict=True), marker="o", color=MUTED, label="alone")
for color, cell, shares in zip(LANGUAGE_COLORS, ("naive", "naive_9_1"), ((0.5, 0.5), (0.9, 0.1)), strict=False):
    for run in (run for run in runs if run.name == cell):
        games = [share * run.config["data"]["games"] for share in shares]
        excess = [run.results["final"][f"val/{name}/excess_nats"] for name in run.languages]
        axis.scatter(games, excess, marker="x", color=color, label=cell)
axis.set_xscale("log")
axis.set_xticks([x for x, _ in alone], [f"{x:,}" for x, _ in alone])
axis.minorticks_off()
axis.set(xlabel="games of the language", ylabel="loss above the floor, nats")
title(axis, "How far a number of games goes")
legend_below(figure, [axis])
display(figure)

# %% [markdown]
# ## Facts
# Sixteen openings after which one move always follows, in games of one language alone. Asked in the other:

# %%
page, found = read_page("prealign")
display(Markdown(page.answer(found)))
display(Markdown(pipe_table(predictions(page, found))))
display(page.figure(found))

# %% [markdown]
# ## False friends
# Tokens that both languages use: for the same move, or for another one.

# %%
page, found = read_page("false_friends")
display(Markdown(page.answer(found)))
display(Markdown(pipe_table(predictions(page, found))))
display(page.figure(found))
