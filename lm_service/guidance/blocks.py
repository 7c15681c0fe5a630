"""Blocks of the cache, in the steps in which nothing about them changes."""

from typing import Any

from vllm.v1.core.kv_cache_manager import KVCacheManager
from vllm.v1.request import Request, RequestStatus


class SteadyBlocks(KVCacheManager):  # type: ignore[misc]
    """vLLM's manager, which is asked about every row in every step, but is slow to say that all is well.

    With 64 rows that is a quarter of the scheduler's time. A request that writes gets a block, and
    fills one, once in as many steps as a block has tokens; in the others there is nothing to do.
    """

    OVERRIDES = ("allocate_slots", "cache_blocks")

    steady_block_size: int

    @classmethod
    def adopt(cls, manager: KVCacheManager, block_size: int) -> None:
        """Make `manager`, which the scheduler has made for itself, one of this kind."""
        manager.__class__ = cls
        manager.steady_block_size = block_size

    def allocate_slots(self, request: Request, num_new_tokens: int, *args: Any, **kwargs: Any) -> Any:
        computed = request.num_computed_tokens
        if num_new_tokens == 1 and computed % self.steady_block_size and _writes(request):
            return self.empty_kv_cache_blocks
        return super().allocate_slots(request, num_new_tokens, *args, **kwargs)

    def cache_blocks(self, request: Request, num_computed_tokens: int) -> None:
        # A block that tokens have filled is cached when the next is allocated, or with the last token.
        if not _writes(request):
            super().cache_blocks(request, num_computed_tokens)


def _writes(request: Request) -> bool:
    return bool(request.num_output_tokens > 1 and request.status == RequestStatus.RUNNING)
