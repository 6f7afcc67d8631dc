"""Gives the database a security group that lets nobody in."""

from cloud import until
from guarded import connects, database, give_database, made

give_database(made("nobody"))
until("the database is dark", lambda: not connects(database.hostname, database.port))
