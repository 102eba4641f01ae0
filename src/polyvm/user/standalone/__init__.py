"""A guest program as an executable of the host that needs no Python: `polyvm aot --standalone`."""
