"""One self-contained page over any set of run folders, and its numbers as one table: src/mothello/cli/report.py"""

from mothello.cli.report import main

if __name__ == "__main__":
    main()
