"""`make bench`: what the console costs beside others, in the same run; docs/bench.md says how to read it."""
