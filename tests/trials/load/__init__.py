"""`make load`: what much work costs, and what it costs when something is wrong.

The real operations in one process, over tables and queues in memory. Workers run side by side on a
clock that moves only when all of them wait, so a day takes seconds and each run gives the same
figures. Containers stay warm, as Lambda's do, because what they know of the platform is part of
what is counted.
"""
