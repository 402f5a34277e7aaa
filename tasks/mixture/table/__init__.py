"""The one training table: what is taken, how often, encoded, packed into rows."""
