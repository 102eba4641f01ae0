"""What polyvm knows of guests: one folder each, in one specification language."""
