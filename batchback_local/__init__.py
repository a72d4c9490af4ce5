"""The whole service on one machine: `batchback local`, and what drives it.

    command.py        `batchback local`
    demo.py           `make run`: one batch, from request to callback
    service.py        starts everything, says where it is, stops it
    aws/              the embedded AWS, with the resources of the deployment's own template
    runtime/          what Lambda and API Gateway do: events, contexts, schedules, workers, HTTP
    demonstration/    the platform that the jobs call, and the receiver that the callbacks reach
    live/             a service that runs, as its callers see it: for the demo, trials and tests
    ready_file.py     where everything is, for programs
    http_server.py    the HTTP server of all of them
    log.py            what is said on the terminal
    errors.py         why it does not start

The service itself does not know that it is local. Nothing slow is imported here.
"""
