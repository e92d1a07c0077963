"""Measures of one run, a folder for each; by default exact legality and alignment: src/mothello/cli/measure.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.measure")
