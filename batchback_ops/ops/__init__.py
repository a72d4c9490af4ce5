"""The batches of a stage, and the dead letters, for the on-call engineer."""
