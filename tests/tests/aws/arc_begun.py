"""Shifts the load balancer away from its second zone for an hour."""

from cloud import client, until
from outages import resolves, site, subnets, zones

arc, elbv2 = client("arc-zonal-shift"), client("elbv2")
arn = site["LoadBalancerArn"]
allowed = [{"Key": "zonal_shift.config.enabled", "Value": "true"}]
elbv2.modify_load_balancer_attributes(LoadBalancerArn=arn, Attributes=allowed)
away = subnets[1]["AvailabilityZoneId"]
arc.start_zonal_shift(resourceIdentifier=arn, awayFrom=away, expiresIn="1h", comment="for long")
name = site["DNSName"]
until("the zone is left out", lambda: resolves(name) == resolves(f"{zones[0]}.{name}"))
