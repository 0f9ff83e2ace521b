"""The contract: every message that crosses the bus, and every view that crosses HTTP."""
