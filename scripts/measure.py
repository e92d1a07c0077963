"""Measures of one run, a folder for each; by default exact legality and alignment: src/mothello/cli/measure.py"""

from mothello.cli.measure import main

if __name__ == "__main__":
    main()
