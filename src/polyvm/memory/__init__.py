"""Guest memory: the guest's own mapping table over one host reservation, and accesses that crash nobody."""
