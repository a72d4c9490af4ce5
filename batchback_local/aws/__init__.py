"""An AWS for one machine: moto, patched so that many threads can use it."""
