"""What coordinator and workers share of moving bytes: asyncio, and nothing of ours."""
