"""Probes and interventions of one run; scripts/measure.py with these measures by default: src/mothello/cli/probe.py"""

from mothello.cli.probe import main

if __name__ == "__main__":
    main()
