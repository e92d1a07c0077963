"""A folder of shards as text, one game per line: src/mothello/cli/export_games.py"""

from mothello.cli.export_games import main

if __name__ == "__main__":
    main()
