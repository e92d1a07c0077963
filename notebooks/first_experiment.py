# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # A first experiment
# Train a small model on two languages that describe the same games, and look inside. Half a minute on a laptop.

# %%
import mothello

# %% [markdown]
# ## Train
# Random games on the 4x4 board, each written in one of two languages that share no token. The run lies in
# `runs/first/HASH/seed0`; this cell run again loads it at once.

# %%
run = mothello.train(
    {
        "name": "first",
        "board": {"size": 4},
        "languages": {"kinds": ["atomic*2"]},
        "model": {"n_layer": 2, "n_head": 2, "d_model": 64},
        "data": {"games": 12_800, "batch_size": 64},
        "evaluation": {"games": 64},
    }
)
run

# %% [markdown]
# Later, or in another notebook: `mothello.load_run("first/seed0")`.
#
# ## One game, two languages
# A game is a row of moves. A language writes every move with token ids of its own.

# %%
games = run.games(64)
one, other = run.languages
run.named(games[0])

# %%
run.text(games[0], one)

# %%
run.text(games[0], other)

# %% [markdown]
# The board after four plies: the dot marks the last move, rings mark the legal ones.

# %%
run.show(games[0], ply=4)

# %% [markdown]
# ## What would the model play?
# The probability of every legal move, in both languages.

# %%
begun = games[0][:4]
run.next_moves(begun, one)

# %%
run.next_moves(begun, other)

# %% [markdown]
# ## Inside
# Activations by the names of their sites.

# %%
cache = run.cache(games, one)
{site: tuple(activations.shape) for site, activations in cache.items()}

# %% [markdown]
# ## Do the two languages share a representation?
# The states after the same moves, layer by layer: their mean cosine, centered per language. Beside it the same between
# states of different games, which is what no shared representation looks like.

# %%
played = games >= 0


def centered(language):
    states = run.states(games, language)[:, played]
    states = states - states.mean(1, keepdim=True)
    return states / states.norm(dim=-1, keepdim=True)


first, second = centered(one), centered(other)
{
    "same position": (first * second).sum(-1).mean(1).tolist(),
    "another position": (first * second.roll(1, 1)).sum(-1).mean(1).tolist(),
}


# %% [markdown]
# ## Is the board in there?
# A linear probe per layer and language reads every cell of the board. Fitted on one language, does it read the other?

# %%
quick = {"probes": ["linear"], "games": 320, "test_games": 50, "draws": 50, "random_weights": False, "shuffled": False}
rows = mothello.measure(run, "probes", quick)
probe, layer = run.probe(2, one), 2
{
    language: float((probe(run.states(games, language)[layer]) == run.boards(games))[played].double().mean())
    for language in run.languages
}

# %% [markdown]
# Each cell as the probe reads it, and as it is, after six plies: 0 white, 1 empty, 2 black.

# %%
probe(run.states(games, one)[layer])[0, 5].reshape(4, 4), run.boards(games)[0, 5].reshape(4, 4)

# %% [markdown]
# ## Change something
# An edit is a function of a site and its activations. Without what the attention heads of the last block read:


# %%
def without_heads(site, x):
    return x * 0 if site == "blocks.1.heads" else x


run.edited(without_heads).next_moves(begun, one)

# %% [markdown]
# ## Every number
# Whatever was measured on a run is a row of its table.

# %%
curve = run.table.query("quantity == 'top1' and language == '' and control == 'trained'")
curve[["step", "value"]]
