"""Settings of all tests."""

import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Tests are imported by path; what they share lies beside them and is imported by name.
sys.path.append(str(Path(__file__).parent))

# Machines are noisy: how long an example takes proves nothing.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

# Modules whose tests start brokers, certifications, compilers or thousands of histories: they are left
# out of the inner loop (`-m "not slow"`), besides the tests that carry the mark themselves.
SLOW = {
    "test_ampy_bus_python", "test_compare", "test_docsite", "test_drivers_doc", "test_evidence",
    "test_exports", "test_faults", "test_gate", "test_github", "test_go_kit", "test_history_files", "test_init",
    "test_interop", "test_kafka_broker", "test_kafka_transport", "test_load_run", "test_nats_hold",
    "test_nats_transport",
    "test_properties", "test_report_browser", "test_report_cli", "test_roundtrip", "test_schemas",
    "test_selftest", "test_shipped", "test_smoke", "test_spec", "test_tutorial",
}  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is slow."""
    for item in items:
        if item.path.stem in SLOW:
            item.add_marker(pytest.mark.slow)
