"""A run as one offline page with the live model in it: src/mothello/cli/explore.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.explore")
