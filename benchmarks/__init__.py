"""What the service costs and how fast it is, measured beside what one would take instead.

    make bench          small and quick: one table, and benchmarks/results.json
    make bench FULL=1   everything, and docs/performance.md with its charts

One file for each thing that is measured:

    counts.py      AWS requests and units of a batch, counted at the client       -> counting, units
    cost.py        what they cost, and the hosted services beside                 -> prices
    cpu.py         our own CPU and memory, and how they grow with the batch
    field.py       queue libraries on the same work in the same run               -> peers/
    cold_start.py  what a function imports before its first answer
    package.py     the size of the deployment package

`stubs/` holds the platform and the AWS that answer at once, `worker.py` runs the functions as
Lambda does, `report.py` and `page.py` compose what is read. What is counted how, and what is not:
README.md.
"""
