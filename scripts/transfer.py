"""See src/mothello/commands/transfer.py; every key of the command line: configs/transfer.yaml."""

from mothello.cli.transfer import main

if __name__ == "__main__":
    main()
