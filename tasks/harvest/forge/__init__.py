"""What every forge has in common: requests, lists, a cache, and threads as they stood at a date."""
