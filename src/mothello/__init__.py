"""mothello: when does a multilingual model align its languages, and when does skill transfer?"""

__version__ = "0.1.0"
