"""Write shards of random games, or resume where a killed job stopped: src/mothello/cli/generate.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.generate")
