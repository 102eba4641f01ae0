"""The tests: they mirror src/polyvm, with tests/guests for the C programs that they run."""
