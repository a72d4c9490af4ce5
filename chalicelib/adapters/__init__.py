"""What touches the world: one technology, one file. Adapters translate and never decide."""
