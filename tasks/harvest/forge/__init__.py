"""What every forge has in common: requests, lists, what is kept between runs, and threads as they stood at a date."""
