"""The whole service on one machine: `batchback local`, and what drives it.

    command.py        `batchback local`
    demo.py           `make run`: one batch, from request to callback
    service.py        starts everything, says where it is, stops it
    aws/              the embedded AWS, with the resources of the deployment's own template
    runtime/          what Lambda and API Gateway do: events, contexts, schedules, workers, HTTP
    demonstration/    the platform that the jobs call, and the receiver that the callbacks reach
    live/             a service that runs, as its callers see it: for the demo, trials and tests
    http_server.py    the HTTP server of all of them
    log.py            what is said on the terminal

The service itself does not know that it is local. Nothing slow is imported here.
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `batchback local`."""
    ports = parser.add_argument_group("ports", "those not named are free ones")
    ports.add_argument("--port", type=_port, help="of the service: 8000 where that is free")
    ports.add_argument(
        "--aws-port", type=_port, help="of the embedded AWS: 4566 where that is free"
    )
    ports.add_argument("--platform-port", type=_port, help="of the demonstration platform")
    ports.add_argument("--receiver-port", type=_port, help="of the demonstration receiver")
    parser.add_argument(
        "--platform", metavar="URL", help="call this platform instead of the demonstration's"
    )
    parser.add_argument("--key", default="demo", help="the key that may call (%(default)s)")
    parser.add_argument("--secret", default="demo-secret", help="its secret (%(default)s)")
    parser.add_argument(
        "--no-http",
        action="store_true",
        help="all but the HTTP server, for use beside `chalice local --stage local`; "
        "the ports are then 4566 (AWS), 4567 (platform) and 4568 (receiver)",
    )
    parser.add_argument(
        "--worker-processes",
        type=_processes,
        default=0,
        metavar="N",
        help="run the workers in N processes of their own, which are restarted when they die",
    )
    parser.add_argument(
        "--ready-file", metavar="PATH", help="gets every address and name as JSON once all is up"
    )


def run(arguments: argparse.Namespace) -> int:
    """Runs until SIGINT or SIGTERM; the exit status."""
    from batchback_local import command

    return command.run(arguments)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, not {text!r}")
    return int(text)


def _processes(text: str) -> int:
    if not text.isdecimal() or int(text) > 64:
        raise argparse.ArgumentTypeError(f"a number from 0 to 64, not {text!r}")
    return int(text)
