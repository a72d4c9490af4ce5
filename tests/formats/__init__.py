"""Samples of what is stored and sent, one frozen for each format, and brought to life again.

    python -m tests.formats 2        freezes what the present code writes as format 2
    python -m tests.formats 1.1      the same as a later release writes format 1, with what it adds

A frozen sample is never made anew: it stands for what is in the tables and queues of somebody who
has not upgraded yet. How formats change: docs/upgrading.md.
"""
