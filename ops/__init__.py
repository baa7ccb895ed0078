"""Operations: configuration, the command line, and the worker that takes one run through its stages."""
