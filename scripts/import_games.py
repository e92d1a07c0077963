"""Recorded games, checked by strict replay, into a folder of shards: src/mothello/cli/import_games.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.import_games")
