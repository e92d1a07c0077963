"""Aligners: which words of two parallel texts are translations of each other. Importing the room registers them."""

from mothello.aligners import dictionary as dictionary
from mothello.aligners import gold as gold
from mothello.aligners import ibm as ibm
from mothello.aligners import states as states
