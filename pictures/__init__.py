"""The pictures of the docs, drawn from text and tables in this repository.

    make pictures       writes docs/pictures, and how each page shows its pictures

One file for each kind of picture:

    architecture.py    who calls whom, through which queues
    life.py            the life of a batch, step by step
    machines.py        the two state machines                    <- chalicelib.domain.states
    charts.py          bars and lines                            <- docs/performance.md

`drawing.py` is the pen, `gallery.py` knows all pictures and the pages that show them. A test fails
if a picture is not what would be drawn today.
"""
