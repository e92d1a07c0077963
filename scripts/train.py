"""Pretrain one model, or resume it where it stopped, or do nothing when it is finished: src/mothello/cli/train.py"""

from mothello.cli.train import main

if __name__ == "__main__":
    main()
