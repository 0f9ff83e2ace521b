"""Faults under load: what four witnesses say of each task while a part is away, and after (`make chaos`)."""
