"""Measure what the service costs and how fast it is, and compare it with alternatives.

    make bench          a short run: one table, and benchmarks/results.json
    make bench FULL=1   everything, and docs/performance.md with its charts

There is one file for each measurement:

    counts.py      AWS requests and units of a batch, counted at the client       -> counting, units
    cost.py        what they cost, compared with hosted services                  -> prices
    cpu.py         our own CPU and memory, and how they grow with the batch
    field.py       queue libraries that do the same work in the same run          -> peers/
    cold_start.py  what a function imports before its first answer
    package.py     the size of the deployment package

`stubs/` holds a platform and an AWS that answer immediately. `worker.py` runs the functions as
Lambda does. `report.py` and `page.py` write the results. README.md explains what is counted and
how.
"""
