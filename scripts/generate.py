"""See src/mothello/commands/generate.py; every key of the command line: configs/generate.yaml."""

from mothello.cli.generate import main

if __name__ == "__main__":
    main()
