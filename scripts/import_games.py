"""See src/mothello/commands/import_games.py; every key of the command line: configs/import_games.yaml."""

from mothello.cli.import_games import main

if __name__ == "__main__":
    main()
