"""See src/mothello/commands/results.py; every key of the command line: configs/results.yaml."""

from mothello.cli.results import main

if __name__ == "__main__":
    main()
