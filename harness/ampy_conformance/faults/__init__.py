"""Faults: what can be done to a running binding, its broker and the network between them."""
