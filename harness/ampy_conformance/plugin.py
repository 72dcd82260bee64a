"""`pytest -p ampy_conformance.plugin`: the suite under plain pytest."""

from ampy_conformance.suite.plugin import pytest_addoption, pytest_configure

__all__ = ["pytest_addoption", "pytest_configure"]
