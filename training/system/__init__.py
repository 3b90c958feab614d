"""The machine: processes that train together, memory, versions."""
