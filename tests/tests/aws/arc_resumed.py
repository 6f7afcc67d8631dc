"""The shift is still in force."""

from cloud import client, until
from outages import resolves, site, zones

arc = client("arc-zonal-shift")
(shift,) = arc.list_zonal_shifts(status="ACTIVE")["items"]
assert shift["comment"] == "for long", shift
name = site["DNSName"]
until("the zone is left out", lambda: resolves(name) == resolves(f"{zones[0]}.{name}"))
