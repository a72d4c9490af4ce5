"""Everything that ships to Lambda besides app.py.

The rooms, and the only arrows between them:

    app -> wiring -> adapters -> domain          domain decides
    app -> operations -> domain -> errors        operations arrange, adapters touch, app translates

The life of a batch:

    submit_batch    stores the jobs, then the head (the one commit), then sends a message per chunk
    run_jobs        one message: runs the jobs of a chunk side by side and records their answers;
                    whoever records the last one puts the chunk among the head's `done`
    advance_batch   looks at one batch and does what is due: sends, completes, calls back
    read_batch      progress and results, at any time

This file imports nothing, and nothing happens at import anywhere in here.
"""
