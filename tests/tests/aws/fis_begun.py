"""Begins two experiments: one that ends by itself in a minute, one that would go on for hours."""

from outages import begin, connects, until, zones

cut, stopped = begin("cut", zone=1), begin("stop", zone=0)
for id in (cut, stopped):
    until(f"{id} runs", lambda: id.runs())
assert not connects(zones[1])
