"""`/healthz`: the process lives."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = Field(default="ok", examples=["ok"])


@router.get("/healthz", summary="Whether the process lives", operation_id="healthz")
async def healthz() -> Alive:
    """Answers as long as the process does; asks neither the database nor the store."""
    return Alive()
