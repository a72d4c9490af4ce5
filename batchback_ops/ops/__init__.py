"""The batches of a stage, and its dead messages, for the on-call engineer."""
