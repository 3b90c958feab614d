"""HTTP around the engine. Imports `model`, never `training`."""
