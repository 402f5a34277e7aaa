"""GPU machines by the hour: the Prefect worker type `lambda-cloud`, what it rents from and what cleans up after it."""
