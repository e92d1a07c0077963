"""What a game is worth to a model of several languages, in games of a model of one."""
