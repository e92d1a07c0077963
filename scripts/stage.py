"""Go on from a run with a stage of any kind, your own included: src/mothello/cli/stage.py"""

from mothello.cli.stage import main

if __name__ == "__main__":
    main()
