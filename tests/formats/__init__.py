"""Samples of what is stored and sent, one frozen for each format. The tests continue their batches.

    python -m tests.formats 2        freezes what the current code writes as format 2
    python -m tests.formats 1.1      the same if a release adds something to format 1

A frozen sample is never made again: it stands for the tables and queues of somebody who has not
upgraded yet. docs/upgrading.md has the rules for changing a format.
"""
