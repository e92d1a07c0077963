"""See src/mothello/commands/report.py; every key of the command line: configs/report.yaml."""

from mothello.cli.report import main

if __name__ == "__main__":
    main()
