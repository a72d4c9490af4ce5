"""The rooms with windows: one technology, one file. They translate and never decide."""
