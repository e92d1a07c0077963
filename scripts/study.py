"""See src/mothello/commands/study.py; every key of the command line: configs/study.yaml."""

from mothello.cli.study import main

if __name__ == "__main__":
    main()
