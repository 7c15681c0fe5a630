"""A client of the gateway, for `async` code and for code that is not.

    async with connect("localhost:50050") as client:
        async for event in client.generate(GenerateMusicRequest(caption="slow piano")):
            ...
        songs = await client.generate(GenerateMusicRequest(caption="slow piano"))

    with connect_sync("localhost:50050") as client:
        songs = client.generate(GenerateMusicRequest(caption="slow piano")).result()

Every method raises `ServiceError`. Leaving a stream early, or cancelling the task that reads it,
cancels the work on the server. What failed before it began, as the server was out of reach, is
tried again three times within about a second, or after the time that the server names; if it names
more than two seconds, the error says so at once.
"""

from acestep.client.asynchronous import Client, EventStream, connect
from acestep.client.audio import Audio, Samples
from acestep.client.channel import Tls
from acestep.client.synchronous import SyncClient, SyncEventStream, connect_sync
from acestep.errors import FieldViolation, ServiceError
from acestep.songs import SongCollector, SongFile, Songs

__all__ = [
    "Audio",
    "Client",
    "EventStream",
    "FieldViolation",
    "Samples",
    "ServiceError",
    "SongCollector",
    "SongFile",
    "Songs",
    "SyncClient",
    "SyncEventStream",
    "Tls",
    "connect",
    "connect_sync",
]
