"""`make load`: how many requests and invocations a large load takes, and how many more if something
is wrong.

The real operations run in one process, over tables and queues in memory. Workers run concurrently
on a clock that moves only when all of them wait, so a day takes seconds and each run gives the same
figures. Containers stay warm, as Lambda's do, because what they know about the platform affects the
figures."""
