"""The ampy-bus contract as data, and the suite that certifies any binding of it."""

__version__ = "0.1.0"
