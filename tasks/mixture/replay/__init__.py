"""Text that keeps what the base model can do: its own samples, files, data sets of the Hub."""
