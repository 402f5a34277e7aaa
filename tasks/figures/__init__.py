"""How figures are computed, drawn and written, the same on every page."""
