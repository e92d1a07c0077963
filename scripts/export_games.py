"""See src/mothello/commands/export_games.py; every key of the command line: configs/export_games.yaml."""

from mothello.cli.export_games import main

if __name__ == "__main__":
    main()
