"""Can this suite fail? Planted bugs and degenerate peers, run against it."""
