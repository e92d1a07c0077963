"""Copy run folders to wandb, also those that ended long ago: python scripts/wandb_mirror.py runs/naive/HASH/seed0."""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.wandb")
