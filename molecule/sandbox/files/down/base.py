"""A database engine whose server is down. (PostgreSQL's needs a library that is not in the images.)"""

import socket

from django.db.backends.dummy import base


class DatabaseWrapper(base.DatabaseWrapper):
    vendor = "down"

    def ensure_connection(self):
        socket.create_connection(("127.0.0.1", 5432))
