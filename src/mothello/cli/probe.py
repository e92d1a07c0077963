"""scripts/probe.py: probes and interventions of one run; scripts/measure.py with these measures by default."""

from mothello.cli.main import command
from mothello.cli.measure import measure, schema

main = command("probe", schema(), measure)
