#!/usr/bin/python3
"""proxy.py PORT: a proxy for the broker on port 6380 that can make connections half-open.

SIGUSR1: all current connections. SIGUSR2: only those that poll for tasks (BRPOP).
"""

import asyncio
import signal
import sys

open_now, polling, silent = set(), set(), set()


async def serve(reader, writer):
    """Both directions of a connection. Data through a silent one is lost, and neither side notices."""
    there, back = await asyncio.open_connection("127.0.0.1", 6380)
    open_now.add(writer)

    async def pump(source, target):
        while chunk := await source.read(65536):
            if b"BRPOP" in chunk:
                polling.add(writer)
            if writer not in silent:
                target.write(chunk)
        if writer not in silent:
            target.close()

    await asyncio.gather(pump(reader, back), pump(there, writer), return_exceptions=True)
    open_now.discard(writer)


async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, lambda: silent.update(open_now))
    loop.add_signal_handler(signal.SIGUSR2, lambda: silent.update(open_now & polling))
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


asyncio.run(main())
