"""The ports in memory: same file names as the adapters, and the same contract suite."""
