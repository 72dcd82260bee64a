"""Planted bugs: each a variation of the reference binding that breaks one clause.

The judge reads CLAUSE and SAYS as text and reaches the class `Driver` through the driver protocol.
"""
