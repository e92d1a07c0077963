# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Does alignment predict transfer?
#
# A model that was trained on several languages is taught something in one of them. What the others gain, as a share
# of what that one gains, is what transfers. A point here is a model of any study, together
# with one thing that it was taught: how alike its languages were before, by ten measures, and how much followed.
# `results/question` says what is found; this is the table behind it, to ask other things of.

# %%
# %matplotlib inline
import sys
from pathlib import Path

import pandas as pd
from IPython.display import Markdown, display

import mothello
from mothello.report.style import LANGUAGE_COLORS, canvas, title

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies import RESULTS
from studies.correlation import shown
from studies.numbers import pipe_table
from studies.points import ALIGNMENTS
from studies.question import by_factor, correlations, exceptions, of_bases
from studies.question_figures import measure_figure, point_figure

points = pd.read_csv(RESULTS / "question" / "points.csv")
display(points.groupby(["study", "task"]).follows.describe()[["count", "mean", "min", "max"]].round(2))

# %% [markdown]
# ## Which measure predicts it best
# Spearman's correlation, with intervals that draw whole settings. Some measures are blind to a mirror, some read the
# other language through the best map of the opening, and some find alike whatever a rotation of the states makes alike.

# %%
found = correlations(points)
display(measure_figure(found))
display(point_figure(points, found))

# %% [markdown]
# ## Within what differs
# A correlation over all points may be one of studies, sizes or tasks. The same within their levels:

# %%
display(Markdown(pipe_table(by_factor(points, found))))

# %% [markdown]
# ## What breaks the rule
# Three of every kind. The last kind is none for a measure that is blind to a mirror: it calls these pairs unlike, and
# what is taught does not follow. Measures that see a mirror get them wrong.

# %%
broken = pd.DataFrame(exceptions(points))
display(broken.groupby("kind", sort=False).head(3))

# %% [markdown]
# ## A question of your own
# Here: does the measure that predicts best do so among pairs that share no token, and among those that share some? Any
# column of the table, such as `order`, `objective` or `task`, may stand in the place of `shares`.

# %%
best = next(iter(found))
points["shares"] = points.sharing.eq("naive").map({True: "no token shared", False: "some shared"})
figure, axes = canvas(2, 3.2, sharey=True)
for axis, (kind, part), color in zip(axes, points.groupby("shares"), LANGUAGE_COLORS, strict=False):
    axis.scatter(part[best], part.follows.clip(lower=-1), s=16, color=color, alpha=0.6)
    axis.set(xlabel=ALIGNMENTS[best].label)
    title(axis, f"{kind}: {shown(of_bases(part, best))}")
axes[0].set_ylabel("gain of the others / of the source")
display(figure)
