"""Write shards of random games, or resume where a killed job stopped: src/mothello/cli/generate.py"""

from mothello.cli.generate import main

if __name__ == "__main__":
    main()
