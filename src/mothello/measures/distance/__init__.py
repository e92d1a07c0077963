"""How far apart two languages are, by their texts alone: no model is read."""
