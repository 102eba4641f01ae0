"""The one language every part of polyvm speaks: typed ops recorded from a semantics function."""
