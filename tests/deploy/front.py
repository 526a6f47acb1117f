"""Stands in for the distribution `Front` of the template: one address for sockets, files and the gateway,
by the same paths and with the same two headers. One request a connection, each from another viewer, as if
a crowd had come.

    FRONT_SECRET=... python front.py PORT RELAY_PORT GATEWAY_PORT API_ID
"""

import asyncio
import itertools
import os
import re
import sys

HEAD_MAX = 64 * 1024
TO_RELAY = re.compile(r"(/hub)?(/ws|/render|/provider/job/.*/complete)|/api/v1/relay/ws/.*|/docs(/assets/.*)?|/redoc|/openapi\.json")
OURS = ("x-framefair-front:", "x-framefair-viewer:")
OF_THE_LINE = ("connection:",)
VIEWERS = itertools.count(1)
OF_THE_HUB = re.compile(r"/hub/(render|providers?|stats|uploads|ws)(/|$)")

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def main(port: int, relay: int, gateway: int, api: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await pass_on((reader, writer), relay, gateway, f"/_aws/execute-api/{api}/$default")
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # One of the two went away, or it was no HTTP.
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, limit=HEAD_MAX)
    print("the front serves", flush=True)
    await server.serve_forever()


async def pass_on(viewer: Streams, relay: int, gateway: int, api: str) -> None:
    head = (await viewer[0].readuntil(b"\r\n\r\n")).decode("latin-1")
    request, *headers = head.rstrip("\r\n").split("\r\n")
    method, target, version = request.split(" ")
    path = target.split("?")[0]
    origin = relay if TO_RELAY.fullmatch(path) else gateway
    if OF_THE_HUB.match(path):
        target = target.removeprefix("/hub")
    if origin == gateway:
        target = api + target
    closing = "/ws" not in path
    replaced = OURS + OF_THE_LINE * closing
    headers = [line for line in headers if not line.lower().startswith(replaced)]
    headers += [f"X-Framefair-Front: {os.environ['FRONT_SECRET']}"]
    headers += [f"X-Framefair-Viewer: 2001:db8:{next(VIEWERS) % 0xFFFF:x}::1"]
    headers += ["Connection: close"] * closing
    upstream = await asyncio.open_connection("127.0.0.1", origin)
    head = "\r\n".join([f"{method} {target} {version}", *headers, "", ""])
    upstream[1].write(head.encode("latin-1"))
    sending = asyncio.create_task(copy(viewer[0], upstream[1]))
    try:
        await copy(upstream[0], viewer[1])
    finally:
        sending.cancel()
        upstream[1].close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(HEAD_MAX):
        writer.write(data)
        await writer.drain()


if __name__ == "__main__":
    asyncio.run(main(*(int(port) for port in sys.argv[1:4]), sys.argv[4]))
