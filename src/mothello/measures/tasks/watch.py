"""What is watched along a fine-tuning on a task: how well every language's states tell it, and the best guesses."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Int64
from torch import Tensor

from mothello.bootstrap import Bootstrap
from mothello.data.batch import in_language
from mothello.data.sources import Sources
from mothello.languages.language_set import LanguageSet
from mothello.measures.activations import states_of_layer
from mothello.measures.positions import mirrored
from mothello.measures.tasks.score import Moves, Score, guesses, score
from mothello.measures.tasks.task import Labels, Task, labels_of
from mothello.model.transformer import GPT
from mothello.othello.symmetry import OPENING_MAPS
from mothello.seeding import generator
from mothello.training.device import Precision, autocast

GAMES_AT_ONCE = 256
DRAWS = 1000


def answers(
    model: GPT, moves: Moves, language: int, language_set: LanguageSet, layer: int, precision: Precision
) -> dict[str, Int64[Tensor, "game ply"]]:
    """What the model's task head says of games written in a language: the likeliest class, and where it points to."""
    assert model.task_head is not None, "a model that was fine-tuned on a task"
    with torch.no_grad(), autocast(moves.device, precision):
        texts = (in_language(part, language, language_set) for part in moves.split(GAMES_AT_ONCE))
        parts = [model.task_head(states_of_layer(model, text, layer)) for text in texts]
    return {name: torch.cat([part[name].argmax(-1) for part in parts]) for name in parts[0]}


class Exam(NamedTuple):
    """Games with their labels and what is guessed of these, by the names of the labels."""

    moves: Moves
    labels: Mapping[str, Labels]
    guessed: dict[str, dict[str, Score]]
    bootstrap: Bootstrap
    moved: Mapping[str, Mapping[str, Labels]]
    """Labels of the same games under the other maps of the opening, by map; empty where no label depends on it."""

    @staticmethod
    def of(moves: Moves, taught: Moves, task: Task, language_set: LanguageSet) -> "Exam":
        """taught: other games, in which labels are counted."""
        own, known = (labels_of(task, games, language_set.board) for games in (moves, taught))
        bootstrap = Bootstrap(len(moves), DRAWS, generator(0, "bootstrap"))
        guessed = {
            name: {x: score(guess, own[name], bootstrap) for x, guess in guesses(taught, known[name], moves).items()}
            for name in own
        }
        board = language_set.board
        moved = {x: labels_of(task, mirrored(moves, board, x), board) for x in OPENING_MAPS[1:]}
        same = all(torch.equal(labels[name], own[name]) for labels in moved.values() for name in own)
        return Exam(moves, own, guessed, bootstrap, {} if same else moved)


class TaskWatch:
    """Called along a fine-tuning: the share of labels read right in every language, "val/B/flips_accuracy", with
    "..._low", "..._high" (95% over games) and "..._n" (labels), and of those guessed by counting, "..._constant" and
    "..._constant_by_move"; of where a task points to, "val/B/bracket_pointer_accuracy" and so on. A language may be
    aligned through a mirror: "..._through_rot180" counts the answers that are right of the game under that map, with
    "..._low" and "..._high", where labels depend on it."""

    def __init__(
        self, task: Task, name: str, layer: int, language_set: LanguageSet, held_out: Sources, size: int, taught: Moves,
        precision: Precision,
    ) -> None:  # fmt: skip
        """name: the task's. held_out: games of every language, of which ``size`` are read. taught: training's games."""
        self.name, self.layer, self.language_set, self.precision = name, layer, language_set, precision
        chosen = [torch.arange(min(size, len(corpus)), device=taught.device) for corpus in held_out.corpora]
        games = (corpus.moves(indices) for corpus, indices in zip(held_out.corpora, chosen, strict=True))
        exams = [Exam.of(moves, taught, task, language_set) for moves in games]
        self.exams = [exams[index] for index in held_out.of_language]

    def __call__(self, model: GPT) -> dict[str, float]:
        numbers: dict[str, float] = {}
        for index, (language, exam) in enumerate(zip(self.language_set.names, self.exams, strict=True)):
            said = answers(model, exam.moves, index, self.language_set, self.layer, self.precision)
            for part, labels in exam.labels.items():
                key = f"val/{language}/{target(self.name, part)}"
                read = score(said[part], labels, exam.bootstrap)
                numbers[f"{key}_accuracy"] = read.value
                numbers |= {f"{key}_{name}": value for name, value in read._asdict().items() if name != "value"}
                numbers |= {f"{key}_{control}": guess.value for control, guess in exam.guessed[part].items()}
                for name, moved in exam.moved.items():
                    read = score(said[part], moved[part], exam.bootstrap)
                    numbers |= {
                        f"{key}_through_{name}{end}": x for end, x in zip(("", "_low", "_high"), read, strict=False)
                    }
        return numbers


def target(task: str, part: str) -> str:
    """The name of a task's labels in log and rows: "bracket" of its classes, "bracket_pointer" of its pointers."""
    return task if part == "class" else f"{task}_{part}"
