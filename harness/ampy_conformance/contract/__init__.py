"""The contract: loaded from `spec/`, and everything that can be said of records with it."""

from ampy_conformance.contract.load import load
from ampy_conformance.contract.model import Contract, Domain, Header
from ampy_conformance.contract.registry import Clause, SpecError

__all__ = ["Clause", "Contract", "Domain", "Header", "SpecError", "load"]
