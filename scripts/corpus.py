"""See src/mothello/commands/corpus.py; every key of the command line: configs/corpus.yaml."""

from mothello.cli.corpus import main

if __name__ == "__main__":
    main()
