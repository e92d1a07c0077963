"""Fine-tune a run on one language, and measure what that does to every language: src/mothello/cli/transfer.py"""

from mothello.cli.transfer import main

if __name__ == "__main__":
    main()
