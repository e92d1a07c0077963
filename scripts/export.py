"""A run as a folder that transformers opens by itself: src/mothello/cli/export.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.export")
