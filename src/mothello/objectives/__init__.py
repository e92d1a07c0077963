"""Objectives, one file each. Importing the room registers them."""

from mothello.objectives import align as align
from mothello.objectives import align_words as align_words
from mothello.objectives import causal_lm as causal_lm
from mothello.objectives import dictionary as dictionary
from mothello.objectives import masked_lm as masked_lm
from mothello.objectives import realign as realign
from mothello.objectives import tlm as tlm
