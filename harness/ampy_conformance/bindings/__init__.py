"""The reference bindings: judged like any other, through the driver protocol alone.

What the contract says stands once, in the core (builder, admission, consumer, store, retry);
what a broker needs stands in its transport. Mutants vary single methods of these.
"""
