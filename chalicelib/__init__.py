"""Everything that ships to Lambda besides app.py.

These are the packages and modules, and what each may import. app and api translate, operations
coordinate, domain decides, and adapters do the I/O. wiring connects AWS to the ports, and service
puts everything together:

    app -> wiring, settings, api, adapters, errors, domain.message
    wiring -> service, settings, adapters, operations.ports, domain
    service -> api, settings, operations, domain
    api -> operations, domain, errors, version
    settings -> domain.account, domain.address, domain.dataclass, domain.hostnames, errors
    adapters -> operations.ports, domain, errors
    operations -> domain, errors
    domain -> errors
    version

The life of a batch:

    submit_batch    admits it, if its account is limited (admit_batch); stores the jobs, then the
                    head (the one commit), then sends a message per chunk
    run_jobs        handles one message: runs the jobs of a chunk concurrently and records their
                    answers; the worker that records the last one adds the chunk to the head's
                    `done`, and the worker that finishes the last chunk completes the batch
                    (complete_batch)
    call_back       makes one attempt at the callback of a completed batch (deliver_callback)
    advance_batch   checks one batch and does what is due: sends, ends a cancelled batch, completes
    sweep           runs every minute and has the batches that are due checked or called back, so
                    that no batch gets stuck, whatever was lost
    bury_jobs       ends the jobs that kill their workers
    read_batch      answers `progress` and `results` at any time
    list_batches    answers `list`
    rerun_batch     answers `restart`, `repost` and `cancel`

This file imports nothing, and no module in this package does anything at import.
"""
