"""A folder of shards as text, one game per line: src/mothello/cli/export_games.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.export_games")
