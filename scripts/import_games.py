"""Recorded games, checked by strict replay, into a folder of shards: src/mothello/cli/import_games.py"""

from mothello.cli.import_games import main

if __name__ == "__main__":
    main()
