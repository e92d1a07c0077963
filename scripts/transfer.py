"""Fine-tune a run on one language, and measure what that does to every language: src/mothello/cli/transfer.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.transfer")
