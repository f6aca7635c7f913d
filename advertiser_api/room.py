"""The room of an application, as handlers ask for it."""

from typing import Annotated

from fastapi import Depends, Request

from cleanroom.room import Room


async def room_of(request: Request) -> Room:
    """Return the room that the application was made for."""
    # Awaited, though it waits for nothing: any other function is taken to a thread and back, for each request.
    room: Room = request.app.state.room
    return room


OpenRoom = Annotated[Room, Depends(room_of)]
