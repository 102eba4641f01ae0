"""What we know of x86-64 guests: their registers. Their instructions are not described yet: hardware runs them."""
