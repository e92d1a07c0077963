"""A checkpoint of minGPT, TransformerLens or nanoGPT as a run: src/mothello/cli/import_model.py"""

from mothello.signals import run

if __name__ == "__main__":
    run("mothello.cli.import_model")
