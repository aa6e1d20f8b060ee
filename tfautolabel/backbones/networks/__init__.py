"""Networks that more than one source of weights fills."""
