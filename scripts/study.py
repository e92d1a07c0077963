"""Cells x seeds, the measurements on each, then the report; finished parts are skipped: src/mothello/cli/study.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.study")
