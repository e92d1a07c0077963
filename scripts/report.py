"""One self-contained page over any set of run folders, and its numbers as one table: src/mothello/cli/report.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.report")
