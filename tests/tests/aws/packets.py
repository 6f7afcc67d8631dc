"""Asks the stack's resolvers with packets: names, types, client subnets, UDP and TCP."""

import os
import random
import socket
import struct
from collections import namedtuple
from ipaddress import ip_address, ip_network
from urllib.parse import urlparse

TYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "NAPTR": 35,
    "OPT": 41, "DS": 43, "SSHFP": 44, "TLSA": 52, "SVCB": 64, "HTTPS": 65, "SPF": 99, "ANY": 255, "CAA": 257,
}  # fmt: skip
CODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
Answer = namedtuple("Answer", "code question answers authorities truncated scope size")
Record = namedtuple("Record", "name kind ttl data")

STACK = int(urlparse(os.environ["AWS_ENDPOINT_URL"]).hostname.split(".")[1])


def labels(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label) + b"\0"


def name_at(packet, at):
    """A name and where it ends."""
    parts, end = [], None
    while packet[at]:
        if packet[at] >= 0xC0:
            end = end or at + 2
            at = struct.unpack_from("!H", packet, at)[0] & 0x3FFF
        else:
            parts.append(packet[at + 1 : at + 1 + packet[at]].decode())
            at += 1 + packet[at]
    return ".".join(parts), end or at + 1


def record_at(packet, at):
    name, at = name_at(packet, at)
    kind, _, ttl, length = struct.unpack_from("!HHIH", packet, at)
    begin = at + 10
    data = packet[begin : begin + length]
    word = next((word for word, number in TYPES.items() if number == kind), kind)
    if word in ("A", "AAAA"):
        data = str(ip_address(data))
    elif word in ("CNAME", "NS", "PTR"):
        data, _ = name_at(packet, begin)
    return Record(name, word, ttl, data), begin + length


def question(name, kind, subnet=None, size=None):
    extra = b""
    if subnet or size:
        options = b""
        if subnet:
            net = ip_network(subnet)
            address = net.network_address.packed[: (net.prefixlen + 7) // 8]
            option = struct.pack("!HBB", 1 if net.version == 4 else 2, net.prefixlen, 0) + address
            options = struct.pack("!HH", 8, len(option)) + option
        extra = b"\0" + struct.pack("!HHIH", TYPES["OPT"], size or 1232, 0, len(options)) + options
    head = struct.pack("!HHHHHH", random.randrange(1 << 16), 0x0100, 1, 0, 0, 1 if extra else 0)
    return head + labels(name) + struct.pack("!HH", TYPES[kind], 1) + extra


def sent(packet, server, port, tcp):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as it:
        it.settimeout(5)
        it.connect((server, port))
        if not tcp:
            it.send(packet)
            return it.recv(65535)
        it.sendall(struct.pack("!H", len(packet)) + packet)
        stream = it.makefile("rb")
        return stream.read(struct.unpack("!H", stream.read(2))[0])


def ask(name, kind="A", zone=0, subnet=None, size=None, tcp=False):
    """The answer of the resolver of a zone, by its number; 0 is outside."""
    packet = question(name, kind, subnet, size)
    server = f"127.{STACK}.{16 * zone}.2"
    try:
        answer = sent(packet, server, 53, tcp)
    except ConnectionRefusedError:
        answer = sent(packet, server, 10053, tcp)
    assert answer[:2] == packet[:2]
    flags, questions, *counts = struct.unpack_from("!HHHHH", answer, 2)
    assert questions == 1, answer
    asked, at = name_at(answer, 12)
    at += 4
    sections = []
    for count in counts:
        records = []
        for _ in range(count):
            record, at = record_at(answer, at)
            records.append(record)
        sections.append(records)
    scope = None
    for option in (it for it in sections[2] if it.kind == "OPT" and it.data):
        scope = option.data[7]
    return Answer(CODES[flags & 15], asked, *sections[:2], bool(flags & 0x0200), scope, len(answer))


def data(name, kind="A", **how):
    """What is answered: the data alone."""
    return [record.data for record in ask(name, kind, **how).answers]
