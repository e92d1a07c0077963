"""Numbers and figures of the games that a training run would read: src/mothello/cli/corpus.py"""

from mothello.cli.corpus import main

if __name__ == "__main__":
    main()
