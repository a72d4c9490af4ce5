"""The whole service on one machine: `batchback local`, and what drives it.

    command.py        `batchback local`
    demo.py           `make run`: one batch, from request to callback
    service.py        starts everything, shows the addresses, stops it
    console.py        the page that shows its batches
    aws/              the embedded AWS, with resources from the same template as deployments
    runtime/          what Lambda and API Gateway do: events, contexts, schedules, workers, HTTP
    demonstration/    the platform that jobs call, and the receiver of callbacks
    live/             a running service as its callers see it, for the demo, trials and tests
    clock.py          the service's clock, which can be moved ahead of the machine's
    next_due.py       what happens next to the open batches, so how far to move the clock
    ready_file.py     the addresses of everything, for programs
    http_server.py    the HTTP server that the others use
    log.py            what the terminal shows
    errors.py         why the service does not start

The service itself does not know that it runs locally. Nothing slow is imported here.
"""
