"""Everything that ships to Lambda besides app.py.

The packages and modules, and what each may import. app and api translate, operations arrange,
domain decides, adapters do the I/O; wiring connects AWS to the ports, and service puts all of it
together:

    app -> wiring, settings, api, adapters, errors, domain.message
    wiring -> service, settings, adapters, operations.ports, domain
    service -> api, settings, operations, domain
    api -> operations, domain, errors, version
    settings -> domain.account, domain.address, domain.hostnames, errors
    adapters -> operations.ports, domain, errors
    operations -> domain, errors
    domain -> errors
    version

The life of a batch:

    submit_batch    admits it, if its account is limited (admit_batch); stores the jobs, then the
                    head (the one commit), then sends a message per chunk
    run_jobs        one message: runs the jobs of a chunk concurrently and records their answers;
                    whoever records the last one puts the chunk among the head's `done`, and
                    whoever finishes the last chunk completes the batch (complete_batch)
    call_back       makes one attempt at the callback of a completed batch (deliver_callback)
    advance_batch   checks one batch and does what is due: sends, ends what was cancelled, completes
    sweep           every minute has the batches that are due checked or called back, so that
                    nothing is stuck whatever was lost; bury_jobs ends the jobs that kill their
                    workers
    read_batch      progress and results, at any time; list_batches: list; rerun_batch: restart,
                    repost, cancel

This file imports nothing, and nothing happens at import anywhere in here.
"""
