"""See src/mothello/commands/bench.py; every key of the command line: configs/bench.yaml."""

from mothello.cli.bench import main

if __name__ == "__main__":
    main()
