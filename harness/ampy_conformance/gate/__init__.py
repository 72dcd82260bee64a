"""The gate on contract changes: what changed, for whom it breaks, and what version that demands."""
