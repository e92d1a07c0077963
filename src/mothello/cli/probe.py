"""scripts/probe.py: probes and interventions of one run; scripts/measure.py with these measures by default."""

from mothello.cli.main import command
from mothello.cli.measure import MeasureCommand, following, measure

main = command("probe", MeasureCommand, measure, following)
