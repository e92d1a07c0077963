"""Importing this module registers the built-in measures."""

from mothello.measures.alignment.measure import Alignment
from mothello.measures.causal.measure import Causal
from mothello.measures.distance.measure import Distance
from mothello.measures.efficiency.measure import Efficiency
from mothello.measures.facts.measure import KnownFacts
from mothello.measures.gradients.measure import GradientCosines
from mothello.measures.legality.measure import Legality
from mothello.measures.links.measure import LinkQuality
from mothello.measures.masked.measure import Masked
from mothello.measures.posthoc.measure import Posthoc
from mothello.measures.probes.measure import Probes
from mothello.measures.stitch.measure import Stitch
from mothello.measures.tasks.measure import Tasks
from mothello.measures.tasks.transfer import TaskTransfer
from mothello.measures.transfer.measure import Transfer

BUILTIN = (
    Legality, Masked, Alignment, Probes, Causal, Transfer, Tasks, TaskTransfer, Distance, Efficiency, LinkQuality,
    Posthoc, Stitch, GradientCosines, KnownFacts,
)  # fmt: skip
