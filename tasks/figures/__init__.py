"""How figures are computed, drawn and written, the same on every page: statistics, charts, formats, page style."""
