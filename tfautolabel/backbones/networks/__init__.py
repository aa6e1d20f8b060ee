"""Networks for which more than one source provides weights."""
