"""What scripts about outages share: the load balancer, its zones, who answers from where, and experiments of one action."""

import socket
import urllib.request

from cloud import client, until

fis, ec2, elbv2, sts = (client(name) for name in ("fis", "ec2", "elbv2", "sts"))
account = sts.get_caller_identity()["Account"]
site = elbv2.describe_load_balancers(Names=["site"])["LoadBalancers"][0]
subnets = sorted(ec2.describe_subnets()["Subnets"], key=lambda it: it["AvailabilityZone"])
zones = [it["AvailabilityZone"] for it in subnets]
reservations = ec2.describe_instances()["Reservations"]
instances = {it["Placement"]["AvailabilityZone"]: it["InstanceId"] for group in reservations for it in group["Instances"]}
region = ec2.meta.region_name


class Experiment:
    """An experiment of one action."""

    def __init__(self, id):
        self.id = id

    def __repr__(self):
        return self.id

    def shown(self):
        return fis.get_experiment(id=self.id)["experiment"]

    def runs(self):
        shown = self.shown()
        return {shown["state"]["status"], shown["actions"]["harm"]["state"]["status"]} == {"running"}

    def is_over(self, status):
        ended = until(f"{self.id} is {status}", lambda: [it for it in [self.shown()] if it["state"]["status"] == status])
        return ended[0]


def begin(word, zone, alarm=None):
    """Cuts a zone off for a minute, or stops its instance for hours; an alarm may stop it before."""
    arn = f"arn:aws:ec2:{region}:{account}:instance/{instances[zones[zone]]}"
    kind, action, target, resource, parameters = {
        "cut": ("subnet", "aws:network:disrupt-connectivity", "Subnets", subnets[zone]["SubnetArn"], {"duration": "PT1M", "scope": "all"}),
        "stop": ("instance", "aws:ec2:stop-instances", "Instances", arn, {"startInstancesAfterDuration": "PT12H"}),
    }[word]
    template = fis.create_experiment_template(
        description=word,
        roleArn=f"arn:aws:iam::{account}:role/chaos",
        stopConditions=[{"source": "aws:cloudwatch:alarm", "value": alarm} if alarm else {"source": "none"}],
        targets={"it": {"resourceType": f"aws:ec2:{kind}", "resourceArns": [resource], "selectionMode": "ALL"}},
        actions={"harm": {"actionId": action, "parameters": parameters, "targets": {target: "it"}}},
    )["experimentTemplate"]
    return Experiment(fis.start_experiment(experimentTemplateId=template["id"], tags={"word": word})["experiment"]["id"])


def known(word):
    """The experiment that was begun so."""
    (id,) = [it["id"] for it in fis.list_experiments()["experiments"] if it["tags"] == {"word": word}]
    return Experiment(id)


def connects(zone):
    """Whether the load balancer's node in a zone can be reached."""
    try:
        socket.create_connection((f"{zone}.{site['DNSName']}", 80), timeout=1).close()
    except TimeoutError:
        return False
    return True


def resolves(name):
    """The addresses that a name stands for."""
    return {info[4][0] for info in socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)}


def servers(host):
    """The instances that answer under a name; what else comes in their place."""
    return {instance(get(host)) for _ in range(6)}


def get(host):
    try:
        with urllib.request.urlopen(f"http://{host}/whoami", timeout=2) as answer:
            return answer.read().decode()
    except OSError as error:
        return str(error)


def instance(answer):
    return answer.split()[0] if "web-" in answer else answer
