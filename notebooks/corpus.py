# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Games and languages: what is in a corpus?
#
# A corpus is a function of a seed: `moves(indices)` gives any game of it, in any order, and nothing is stored.
# This notebook shows random play, play that prefers corners, and one game written in several languages. The numbers of
# any training corpus: `python scripts/corpus.py domain=[corners]`.

# %%
import pandas as pd
import torch
from IPython.display import HTML, display
from matplotlib import rc_context

from mothello.data.corpus import RandomPlay
from mothello.data.orbit import overlap
from mothello.data.split import Split, corpus
from mothello.data.survey import count_corpus, divergence, opening_tree, ply_floor
from mothello.languages.anchors import AnchorConfig
from mothello.languages.language_set import LanguagesConfig, build_languages
from mothello.othello.board import Board
from mothello.othello.notation import game_text, move_name, svg_board
from mothello.othello.policy import PolicyConfig
from mothello.othello.replay import replay, squares_to_cells
from mothello.report.style import LANGUAGE_COLORS, RC

torch.set_num_threads(1)
board, n = Board.of(6), 2000
random = corpus(board, seed=0, split=Split.train, size=20_000_000)
corners = RandomPlay(board, seed=0, size=20_000_000, policy=PolicyConfig(corners=4))
game_text(random.moves(torch.tensor([19_999_999]))[0].tolist(), board)

# %% [markdown]
# ## Length, choice and floor
# The floor is the entropy of the true distribution of the next move. The policy of a biased corpus is known, so its
# floor is too.

# %%
corpora = {"random": random, "corners": corners}
counts = {name: count_corpus(games, 0, n) for name, games in corpora.items()}
floors = {name: ply_floor(games, n) for name, games in corpora.items()}
plies = pd.DataFrame(
    {
        f"{name}: {what}": values
        for name in corpora
        for what, values in {
            "legal moves": counts[name].legal / counts[name].played.sum(1),
            "floor (nats)": floors[name].nats,
        }.items()
    },
    index=pd.RangeIndex(1, board.n_moves + 1, name="ply"),
)
blue, red = LANGUAGE_COLORS[:2]
panels = [plies.columns[::2].tolist(), plies.columns[1::2].tolist()]
with rc_context(RC):
    axes = plies.plot(subplots=panels, color=[blue, blue, red, red], figsize=(9, 5))

# %% [markdown]
# ## How different are they?
# Jensen-Shannon divergence of moves and of boards, compared with that of two halves of one corpus.

# %%
rows = {
    "two halves of random play": divergence(count_corpus(random, 0, n // 2), count_corpus(random, n // 2, n)),
    "random and corners": divergence(counts["random"], counts["corners"]),
}
display(pd.DataFrame({name: {"moves": found.moves, "boards": found.boards} for name, found in rows.items()}).T)

# %% [markdown]
# ## Openings, and games that two splits share

# %%
openings = pd.DataFrame(opening_tree(random.moves(torch.arange(n)), 2))
openings["moves"] = [game_text(moves, board) for moves in openings["moves"]]
display(openings.set_index("moves").T)
display(pd.Series(overlap(random, corpus(board, 0, Split.validation, 5000), n)._asdict(), name="train and validation"))

# %% [markdown]
# ## One game, its boards, and its words
# Two anchors (bold): moves that all languages write with the same tokens.

# %%
kinds = ["atomic*2", "split", "compositional"]
language_set = build_languages(LanguagesConfig(kinds=kinds, anchors=AnchorConfig(count=2)), board)
moves = random.moves(torch.tensor([0]))
states = replay(moves, board)
boards = (1 + squares_to_cells(states.black, board).long() - squares_to_cells(states.white, board).long())[0].tolist()
display(HTML("&emsp;".join(svg_board(boards[ply], board, cell=18) for ply in (1, 8, 16, 24, int(states.lengths)))))

# %%
played = [move for move in moves[0].tolist() if move >= 0]
anchors = {move for link in language_set.links for _, move in link}
words = {
    language.name: [" ".join(map(str, language.words[move])) for move in played] for language in language_set.languages
}
table = pd.DataFrame(words, index=[move_name(board, move) for move in played])
table.T.style.apply(lambda row: ["font-weight: bold" if move in anchors else "" for move in played], axis=1)
