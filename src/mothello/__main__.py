"""python -m mothello COMMAND ..."""

from mothello.commands import main

main()
