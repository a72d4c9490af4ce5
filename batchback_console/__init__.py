"""The console: a page that shows batches live, served on your own machine.

`batchback local` serves it for the service on this machine, and `batchback console` for a stage in
AWS, with the operator's own credentials. It listens on 127.0.0.1 only, and answers only a page that
has this start's token. It changes nothing unless it is allowed to.

    command.py       `batchback console`
    server.py        the HTTP server: the page, and JSON under /api/
    guard.py         who may ask, and the headers of every answer
    console.py       what all views share: the stage, its stores, the clock
    offers.py        what can be done to a batch now
    queues.py        the queues of a stage, their messages and ages
    summary.py       a short description of a batch, for the list
    jobs_seen.py     the outcome of each job, remembered
    views/           what it shows and does: a module for each view
    local_tools.py   what it needs from the service on this machine
    page/            what the browser loads

Reading changes nothing and costs little: heads are read in groups of a hundred, and a finished
chunk only once.
"""
