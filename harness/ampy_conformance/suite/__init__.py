"""The judge: pytest plugin, lab, plan, known failures."""
