"""Networks that answer with a matte, at their own resolution."""
