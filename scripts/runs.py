"""The runs below a folder, one a line, or how the settings of two differ: src/mothello/cli/runs.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.runs", computes=False)
