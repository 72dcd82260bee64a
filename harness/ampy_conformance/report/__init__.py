"""One canonical JSON Lines report; every rendering and the exit code are made from it alone."""
