"""The runs below a folder, one a line, or how the settings of two differ: src/mothello/cli/runs.py"""

from mothello.commands import runs

if __name__ == "__main__":
    runs()
