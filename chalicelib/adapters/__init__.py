"""All I/O: one technology per file. Adapters translate and never decide."""
