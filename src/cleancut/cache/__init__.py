"""Results kept by content: the same picture and options are never cut twice."""
