"""PowerMTA's answers, made of what the relay says of itself: its trees with its keys, its tables, and the forms that its scripts read."""
