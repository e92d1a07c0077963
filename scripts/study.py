"""Cells x seeds, the measurements on each, then the report; finished parts are skipped: src/mothello/cli/study.py"""

from mothello.cli.study import main

if __name__ == "__main__":
    main()
