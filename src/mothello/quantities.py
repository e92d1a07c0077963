"""What rows hold: their columns, and every quantity of every measure. A leaf that imports nothing."""

COLUMNS = {
    "measure": "training, probe, alignment, embedding, legality, masked, causal, patching, transfer, tasks, "
    "task_transfer, context, distance, efficiency, links, posthoc, stitch, gradients, facts",
    "quantity": "name of the value; units are listed below",
    "control": "trained: the model itself. edited: the model with an edit of its activations. random_weights: the same "
    "model with random weights. scratch: fine-tuned from random weights. shuffled: probes of another game's board; of "
    "gradients, links shuffled within each game. "
    "constant: the best guess per ply and cell. constant_by_move: the best guess per move. orbit: a reader that knows "
    "how many cells of every orbit of squares (under the opening's maps) are of each class, and names the commonest. "
    "unrelated: paired with another game. permuted: paired with positions of the same ply at random. "
    "image: boards compared with their images, no model. "
    "chance: by counting. null: no intervention. random: a random direction of the same length. "
    "floor: the loss that no model can go below; of interventions, the model on the boards as they are. "
    "ladder: a run of one language, by the law of the others; its games are in the column step. "
    "stitched: the lower blocks of another run below those of this one. other: that run itself. "
    "best: the exact posterior of a hidden move. independent: that of every token of a hidden word by itself",
    "probe": "linear or mlp",
    "target": "absolute or relative colors; the task; the aligner; what is shown around a hidden move: the game, or a "
    "prefix of it; of embeddings: moves of the dictionary that was trained with, or held_out ones; what is mapped "
    "after the fact: embedding, move (mean state), state (in its game) or game (mean state); of facts: taught, or "
    "untaught (openings left alone); empty: all",
    "layer": "0 (embeddings) .. L; of stitched models that after which they are stitched",
    "source": "the probe's language; of pairs of states the first, of two runs that of the other; empty: a "
    "mean over languages or pairs",
    "language": "the language read; of pairs of states the second; empty: a mean over languages or pairs",
    "map": "symmetry of the board through which the two are compared or edited; empty: none",
    "square": "of numbers about one square",
    "ply": "of numbers about one ply, counted from 1",
    "step": "of numbers along a training or a fine-tuning: its step",
    "opening": "of legality on games that begin so; empty: all games",
    "value": "the number",
    "low": "95% interval over games, of facts over openings, percentile bootstrap; of the control "
    "permuted over permutations",
    "high": "its upper end",
    "n": "number of games, positions, moves, openings or cases that the value is a mean over; of retrieval the size of "
    "the pool",
}
"""Column -> its content; empty where it does not apply."""

QUANTITIES = {
    "accuracy": "share of cells read right, 0..1",
    "whole_board": "share of positions with every cell read right, 0..1",
    "own": "accuracy of every language's own probes, mean over languages (language empty)",
    "across": "accuracy of another language's probes, mean over ordered pairs (language empty)",
    "across_best_map": "the same under the best map of every pair",
    "loss_across": "own - across",
    "task_accuracy": "share of labels of a task (column target) that a head reads right, 0..1; target TASK_pointer: "
    "where the task points to",
    "task_accuracy_moved": "the same, of the labels that the game has under a map of the opening (column map)",
    "other_map": "share of cells read as the board under a map outside the opening's group, colors as they are, 0..1",
    "other_map_swapped": "the same, colors exchanged",
    "mixed": "share of cells read right, each under its own map (chosen on half of the games, scored on the rest)",
    "mixed_gain": "mixed less the accuracy of the best single map (column map), chosen and scored on the same halves",
    "domain": "share of the cells whose own map this is, 0..1; by square: its map, and the accuracy there on the second"
    " half of the games",
    "fit_steps": "updates that the probes were fitted for",
    "cosine": "mean cosine of parallel states, centered by language, -1..1",
    "cka": "linear CKA, rows are positions of games, 0..1",
    "cka_games": "linear CKA, rows are games (mean state), 0..1",
    "cka_within_ply": "linear CKA at each ply by itself, mean over the plies that every game reached, 0..1",
    "retrieval": "P@1 among the states of the other language (weak), cosine of centered states, 0..1",
    "retrieval_same_ply": "the same, candidates at the query's ply only",
    "retrieval_same_square": "the same, candidates whose last move is the query's only",
    "retrieval_csls": "the same, by cross-domain similarity local scaling",
    "retrieval_strong": "P@1 among the states of both languages without the query, 0..1",
    "retrieval_raw": "P@1 among the states of the other language, cosine of states as they are, not centered (weak "
    "alignment of Gaschi et al. 2023), 0..1; forward, and backward in the row of the pair the other way round",
    "retrieval_raw_strong": "the same among the states of both languages without the query (their strong alignment)",
    "retrieval_raw_mutual": "share of parallel states that are each other's nearest, by the same cosine",
    "retrieval_best_map": "retrieval through the best of the opening's maps (column map), chosen by pair and layer; "
    "control permuted: the same maximum under each permutation",
    "procrustes": "P@1 after an orthogonal map fitted on other games, 0..1",
    "procrustes_explained": "share of the second language's variance that the mapped states explain, at most 1",
    "mapped": "P@1 after iterative normalization and an orthogonal map, fitted on other games (of embeddings and mean "
    "states of moves: without the move), 0..1; control random_weights: on the first side",
    "neighbours": "share of moves whose nearest token embedding of the other language is the same move, 0..1",
    "neighbours_orbit": "share of moves whose nearest token embedding among the other language's moves is of a move in "
    "the same orbit under the opening's maps, 0..1",
    "nearest": "by square: cosine with the nearest move of the other language; the map takes the move there (empty: "
    "none does)",
    "margin": "cosine with the same move's embedding less that with the nearest other move's, mean over moves",
    "flip_error": "false plus missed moves among the N likeliest, N the number of legal ones, after a disc changed "
    "sides in the residual stream after that layer and every later one; mean over cases",
    "flip_error_once": "the same, edited after that layer only",
    "erase_error": "the same as flip_error, a disc erased",
    "erase_error_once": "the same, edited after that layer only",
    "patch_last_error": "false plus missed moves against another game's position, whose state after that layer in the "
    "source language was put in place of the last one; mean over cases",
    "patch_all_error": "the same, the states of all moves up to it put in",
    "peak": "of a fine-tuning: the highest strict legality on the way; of one on a task (measure task_transfer), here "
    "and in the next ones, the share of labels read right",
    "gain": "of a fine-tuning: strict legality at the end less at the start",
    "forgetting": "of a fine-tuning: the peak less the end",
    "relative_gap": "of a fine-tuning: (target - source) / source at the end",
    "delta": "of a fine-tuning on a task: what the same on this language ends at in it, less what this one does",
    "gain_ratio": "of a fine-tuning: the target's gain as a share of the source's",
    "over_scratch": "of a fine-tuning: strict legality at the end less that of the same from random weights",
    "top1": "share of plies after which the greedy move is legal (strict), 0..1; of hidden moves: share of guesses "
    "that are possible: the moves shown stay legal; along the training of a masked model, where a prefix is shown",
    "top1_restricted": "the same, choosing among the tokens of the language",
    "top1_translated": "of a fine-tuning: the same, choosing among the tokens of the source, read as its words",
    "lenient": "share of plies after which the greedy move is legal for either color, 0..1",
    "loss": "held-out loss, nats per token; with control floor the loss that no model can go below",
    "excess_nats": "loss above the floor",
    "train_loss": "loss of the batch by the main objective, nats per token",
    "train_gradient_norm": "norm of the gradients before clipping",
    "train_seconds": "seconds of training, evaluations included",
    "mass_first_token": "probability on tokens that begin a legal move, 0..1",
    "mass": "probability on legal moves, by the chain rule over their tokens, 0..1; of hidden moves: on possible ones",
    "mass_own_tokens": "the same, every token chosen among those of the language",
    "mass_any_move": "probability on moves of the language, legal or not, 0..1",
    "masked_accuracy": "share of hidden moves that are guessed, 0..1; control best: the most that can be, the mean of "
    "the posterior's maximum",
    "game_accuracy": "along the training of a masked model: the same where the whole rest of the game is shown",
    "masked_nats": "cross-entropy of hidden moves, expected under their posterior; control floor: its entropy",
    "masked_excess_nats": "the difference of the two: the expected divergence of the model from the posterior",
    "sees_game": "1: states have read the whole game, later moves included; 0: up to there. No row: a causal model",
    "wrong_language": "share of plies after which the greedy move has a token of another language, 0..1",
    "malformed": "share of plies after which the greedy tokens are of the language and spell no move, 0..1",
    "edit_distance": "of the texts of one game in two languages: tokens to insert, delete or exchange, as a share of "
    "the longer text, mean over games, 0..1",
    "vocabulary_overlap": "tokens that two languages have in common, as a share of those that either has, 0..1",
    "word_overlap": "share of moves whose word is one of the other language's, 0..1",
    "word_agreement": "share of moves whose word is the same in the other language, 0..1",
    "equal_games": "games that one language needs for the same excess nats, by the law of the ladder (low, high: the "
    "range of the laws that leave out one of its runs)",
    "token_efficiency": "the same, divided by the games of the language that were seen",
    "extrapolated": "1: the excess nats lie outside those of the ladder",
    "link_precision": "share of an aligner's links that are right, 0..1; no row where it finds none",
    "link_recall": "share of the true links, those of every ply with itself, that an aligner finds, 0..1",
    "aer": "alignment error rate, 1 - 2 * right / (links found + true links), 0..1",
    "gradient_cosine": "cosine of two gradients for the parameters of a layer, mean over batches, -1..1: of the "
    "model's own loss in the first language, and of realignment of both (low, high: over batches, n of them)",
    "fact_probability": "probability of the fixed move after the opening of a fact, by the chain rule over its tokens, "
    "mean over openings, 0..1; map: of the images of both; control chance: 1 / legal moves",
    "fact_top1": "share of openings after which it is the likeliest move of the language, 0..1",
    "token_information": "mutual information between a token of a text and the move that it writes, bits; of a pair, "
    "in texts of both languages, half and half",
}
QUANTITIES |= {
    f"{name}_{tokens}": f"{name} of top1_{tokens}" for tokens in ("restricted", "translated")
    for name in ("peak", "gain", "forgetting", "relative_gap", "gain_ratio", "over_scratch")
} | {
    f"retrieval_{name}_best_map": f"retrieval_best_map of retrieval_{name}"
    for name in ("same_ply", "strong", "raw", "raw_strong", "raw_mutual")
}  # fmt: skip
"""Quantity -> its unit and meaning."""
