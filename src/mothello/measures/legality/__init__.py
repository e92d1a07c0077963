"""Strict legality: does the model's next move obey the rules?"""
