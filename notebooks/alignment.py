# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Alignment, and the symmetry of the opening
#
# A probe fitted on one language is tried on another. The colored start position is the same after four maps
# (identity, a half turn, two reflections), so two languages without a common token can only agree up to such a map
# *g*: the probe then reads g(board), which agrees with the board in half to three fifths of the cells, as if nothing
# were aligned.

# %%
# %matplotlib inline
import sys
from pathlib import Path

from IPython.display import Markdown, display

import mothello
from mothello.report.board_figure import boards_figure, reading_boards

sys.path.insert(0, str(Path(mothello.__file__).parents[2]))  # studies/ of this checkout

from studies import figures, tables
from studies.asked import study_runs
from studies.data import cell_table, records
from studies.numbers import pipe_table
from studies.outcomes import with_outcomes
from studies.runs import image_agreement

runs = study_runs("mirror_anchors")
cells = cell_table(runs)
columns = ["cell", "seed", "own", "raw", "best", "winner", "constant", "random_own"]
display(cells[cells.probed][columns].round(3))

# %% [markdown]
# ## Mirror anchors
# Four anchors link move s of one language with g(s) of the other. The model aligns through g; without looking at maps
# the pair would pass for unaligned.

# %%
COLUMNS = "link | seed | strict=legal | identity | rot180 | main | anti | own | constant | winner | linked_map"
images = image_agreement(runs)
display(figures.map_figure(cells, figures.MIRROR_PANELS, images))

# %%
display(Markdown(pipe_table(tables.mirrors(with_outcomes(cells, images)), COLUMNS)))

# %%
display(Markdown(pipe_table(records(cells[cells.link == "columns"]), COLUMNS)))

# %% [markdown]
# ## What such a probe reads
# Left the board, then as read from either language by the probe of the first, and the second reading seen through the
# map; framed cells are wrong.

# %%
mirrored = next(run for run in runs if run.name == "mirror_main" and run.measure("probes"))
examples = mirrored.measure("probes").examples
display(boards_figure([reading_boards(example, through="main") for example in examples]))

# %% [markdown]
# ## By the number of anchors

# %%
display(figures.anchor_figure(cell_table(study_runs("table1"))))
