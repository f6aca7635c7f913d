"""The room of an application, as handlers ask for it."""

from typing import Annotated

from fastapi import Depends, Request

from cleanroom.bootstrap import Room


def room_of(request: Request) -> Room:
    """Return the room that the application was made for."""
    room: Room = request.app.state.room
    return room


OpenRoom = Annotated[Room, Depends(room_of)]
