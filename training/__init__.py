"""Everything that only a trainer needs. Imports `model`, never `service`."""
