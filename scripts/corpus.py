"""Numbers and figures of the games that a training run would read: src/mothello/cli/corpus.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.corpus")
