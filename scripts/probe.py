"""Probes and interventions of one run; scripts/measure.py with these measures by default: src/mothello/cli/probe.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.probe")
