"""The command line: arguments in, text or one JSON document out. What the commands do is done below."""
