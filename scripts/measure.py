"""See src/mothello/commands/measure.py; every key of the command line: configs/measure.yaml."""

from mothello.cli.measure import main

if __name__ == "__main__":
    main()
