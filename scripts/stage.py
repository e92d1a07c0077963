"""Go on from a run with a stage of any kind, your own included: src/mothello/cli/stage.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.stage")
