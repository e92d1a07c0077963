"""Copy run folders to wandb, also those that ended long ago: python scripts/wandb_mirror.py runs/naive/HASH/seed0."""

from mothello.cli.wandb import main

if __name__ == "__main__":
    main()
