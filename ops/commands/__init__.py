"""The commands of `sigmacast`, a file per subject."""
