"""What follows each place of a text, as a distribution instead of a sample: the targets of the expected loss."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from mothello.data.batch import IGNORE, LabeledBatch
from mothello.languages.language_set import LanguageSet, OutputVocabulary


def expected_targets(
    batch: LabeledBatch, law: Float[Tensor, "game state move"], language_set: LanguageSet
) -> Float[Tensor, "game token class"]:
    """The distribution of the class to predict at each place, given the game's language and all that is written up to
    there; zeros where nothing is scored.

    law: what each move was drawn from, by state (state t is before ply t). The first token of a word has the sum over
    all moves whose words begin so; a later one is given the tokens already written.
    """
    text, device = batch.text, law.device
    n, width = text.tokens.shape
    ended = text.move_ends >= 0
    marks = torch.zeros(n, width + 1, dtype=torch.int64, device=device)
    marks.scatter_(1, torch.where(ended, text.move_ends, width), 1)
    ply = marks[:, :-1].cumsum(1)  # complete moves up to each place: the ply that its next token belongs to
    state = torch.arange(n, device=device).unsqueeze(1) * law.shape[1] + ply
    law = language_set.spelled_law(law, text.moves, text.language)
    possible = law.flatten(0, 1).index_select(0, state.flatten()).view(n, width, -1)
    if language_set.output is OutputVocabulary.own:
        begins = F.pad(text.move_ends, (1, 0), value=-1).gather(1, ply)
        written = torch.arange(width, device=device) - begins
        spelled = language_set.spellings_of(text.tokens, text.move_ends, text.moves.long(), text.language)
        move = F.pad(spelled, (0, 1), value=-1).gather(1, ply).clamp(min=0)
        language = text.language.unsqueeze(1)
        parts = language_set.table("state_table", device)
        node = parts[language, move, written.clamp(0, parts.shape[2] - 1)]
        table = language_set.table("continuation_table", device)
        following = table.flatten(0, 1).index_select(0, (language * table.shape[1] + node).flatten()).view(n, width, -1)
        possible = possible.mul_(following >= 0)
        classes = possible.new_zeros(n, width, language_set.output_size)
        possible = classes.scatter_add_(2, following.clamp_(min=0), possible)
    elif language_set.n_forms > 1:
        possible = possible.view(n, width, -1, language_set.board.n_moves).sum(2)
    scored = (batch.targets != IGNORE).unsqueeze(-1)
    return possible.div_(possible.sum(-1, keepdim=True).clamp_(min=1e-30)).mul_(scored)
