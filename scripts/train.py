"""See src/mothello/commands/train.py; every key of the command line: configs/train.yaml."""

from mothello.cli.train import main

if __name__ == "__main__":
    main()
