"""See src/mothello/commands/probe.py; every key of the command line: configs/probe.yaml."""

from mothello.cli.probe import main

if __name__ == "__main__":
    main()
