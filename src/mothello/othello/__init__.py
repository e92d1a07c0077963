"""The rules of Othello on bitboards, random play, replay, symmetries and notation."""
