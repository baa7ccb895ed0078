"""From files of analyses to the one canonical analysis that the model starts from."""
