"""Pretrain one model, or resume it where it stopped, or do nothing when it is finished: src/mothello/cli/train.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.train")
