"""Guided pairs in vLLM's continuous batch: admitted, run, preempted and finished together."""

import copy
import time
from collections.abc import Iterable
from typing import Any

from vllm.sampling_params import SamplingParams
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.request import Request, RequestStatus

from lm_service.guidance.blocks import SteadyBlocks
from lm_service.guidance.request import KEY, Role, from_extra_args, with_role
from lm_service.guidance.telling import Telling

SUFFIX = "\x00unconditional"


class GuidedScheduler(AsyncScheduler):  # type: ignore[misc]
    """Gives every guided request a shadow, the request of its unconditional row.

    A step may be planned while the one before is still computed: a token that a request is about to
    get counts as a placeholder. On a CPU, where steps do not overlap, there is never one at that time.

    What holds in every step: a request draws a token exactly when its shadow does. While prompts
    are read the two are independent, but the last token of each is held back until both have one
    left. A breach raises `RuntimeError` and stops the engine: wrong songs would be worse.
    """

    OVERRIDES = (
        *("add_request", "finish_requests", "schedule", "update_from_output", "make_stats"),
        *("_handle_blocked_waiting_request", "_get_local_prefix_cache_hit"),
        *("_reserve_prefill_lookahead", "_preempt_request"),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.vllm_config.speculative_config is not None or self.connector is not None or self.use_pp:
            raise ValueError("guidance knows no speculative decoding, KV connector or pipeline parallelism")
        needed = 2 * -(-self.max_model_len // self.block_size)
        available = self.cache_config.num_gpu_blocks - 1  # vLLM keeps one empty block
        if available < needed:
            raise ValueError(
                f"the KV cache has {available} blocks; one guided request of {self.max_model_len} tokens"
                f" needs {needed}: raise kv_cache_gib or lower max_model_len"
            )
        SteadyBlocks.adopt(self.kv_cache_manager, self.block_size)
        self._partners: dict[str, Request] = {}
        """The other request of a pair, by the id of either."""
        self._shadows: set[str] = set()
        self._planned: dict[str, int] = {}
        """How many tokens a running request may be given in this step."""
        self._telling = Telling()
        self._admits = True
        """Whether this step may still admit a waiting request."""

    # Arrival and departure

    def add_request(self, request: Request) -> None:
        params: SamplingParams = request.sampling_params
        if KEY not in (params.extra_args or {}):
            super().add_request(request)
            return
        unconditional = list(from_extra_args(params.extra_args).unconditional)
        pair = request.request_id
        fits = _fits(request, unconditional, self.max_model_len)
        if not unconditional or not fits:
            request.sampling_params = _row_params(params, Role.SINGLE, pair)
            super().add_request(request)
            if not fits:
                # An exception here would end the engine; this ends the request, as an error.
                self.grammar_compile_error_reqs.add(pair)
            return
        request.sampling_params = _row_params(params, Role.CONDITIONAL, pair)
        shadow = _shadow_of(request, unconditional, self.max_model_len)
        self._partners[pair], self._partners[shadow.request_id] = shadow, request
        self._shadows.add(shadow.request_id)
        super().add_request(request)
        super().add_request(shadow)

    def finish_requests(
        self, request_ids: str | Iterable[str] | None, finished_status: RequestStatus
    ) -> list[Any]:
        if request_ids is None:
            ids = list(self.requests)
        else:
            ids = [request_ids] if isinstance(request_ids, str) else list(request_ids)
            ids += [self._partners[name].request_id for name in ids if name in self._partners]
        shadows = self._shadows.intersection(ids)
        finished = super().finish_requests(ids, finished_status)
        for name in ids:
            self._part(name)
            self._telling.forget(name)
        return [item for item in finished if item.request_id not in shadows]

    def update_from_output(self, scheduler_output: Any, model_runner_output: Any) -> Any:
        ran = [name for name in scheduler_output.num_scheduled_tokens if name in self._shadows]
        outputs = super().update_from_output(scheduler_output, model_runner_output)
        for name in ran:
            self._follow(name)
        for client in outputs.values():
            client.outputs = [item for item in client.outputs if not item.request_id.endswith(SUFFIX)]
        self._telling.choose(outputs)
        return outputs

    def make_stats(self, *args: Any, **kwargs: Any) -> Any:
        """None in most steps: to make, send and read the figures takes as long as to tell a token."""
        return (
            super().make_stats(*args, **kwargs)
            if self._telling.wants_stats(self.get_request_counts())
            else None
        )

    def _follow(self, name: str) -> None:
        """Finish a shadow with its request, or make sure that both wrote the same token."""
        shadow, request = self.requests.get(name), self._partners.get(name)
        if request is None:
            return
        if request.is_finished() or request.request_id not in self.requests:
            if shadow is not None and not shadow.is_finished():
                super().finish_requests(name, RequestStatus.FINISHED_ABORTED)
            self._part(name)
        elif shadow is None or shadow.is_finished():
            raise RuntimeError("a shadow finished before its request")
        elif request.num_output_tokens != shadow.num_output_tokens or (
            request.num_output_tokens and request.output_token_ids[-1] != shadow.output_token_ids[-1]
        ):
            raise RuntimeError("a guided pair is out of step")

    def _part(self, name: str) -> None:
        partner = self._partners.pop(name, None)
        if partner is not None:
            self._partners.pop(partner.request_id, None)
            self._shadows.discard(partner.request_id)
        self._shadows.discard(name)

    # Planning

    def schedule(self, throttle_prefills: bool = False) -> Any:
        self._plan()
        output = super().schedule(throttle_prefills)
        scheduled = output.num_scheduled_tokens
        for name in scheduled:
            partner = self._partners.get(name)
            if partner is not None and _draws(self.requests[name]) != (
                _draws(partner) and partner.request_id in scheduled
            ):
                raise RuntimeError("a guided pair would be split")
        return output

    def _plan(self) -> None:
        """Decide what running requests get, preempting pairs until their blocks are there.

        So the stock scheduler, which knows no pairs, never has to preempt.
        """
        self._admits = True
        while True:
            wanted = {request.request_id: self._wants(request) for request in self.running}
            # Draws come first: a long prompt must not take the budget of half a pair.
            budget = self.max_num_scheduled_tokens - sum(count == 1 for count in wanted.values())
            blocks = 0
            for request in self.running:
                count = wanted[request.request_id]
                if count > 1:
                    count = wanted[request.request_id] = min(count, budget)
                    budget -= count
                blocks += self._blocks_for(request, count)
            if blocks <= self.kv_cache_manager.block_pool.get_num_free_blocks():
                self._planned = wanted
                return
            self._preempt_last()
            self._admits = False

    def _wants(self, request: Request) -> int:
        left, partner = _left(request), self._partners.get(request.request_id)
        if partner is None:
            return left
        if left > 1:
            return left - 1
        # The stock scheduler gives nothing to a request that will have all its tokens after the
        # step before. Its shadow has no such limit of its own.
        written = partner if request.request_id in self._shadows else request
        both = _left(partner) == 1 and partner.status == RequestStatus.RUNNING
        return 1 if both and not _has_its_last(written) else 0

    def _blocks_for(self, request: Request, token_count: int) -> int:
        manager, computed = self.kv_cache_manager, request.num_computed_tokens
        # Nearly always a token goes into the block of the one before; the manager takes long to say so.
        if token_count <= 0 or (token_count == 1 and computed % self.block_size):
            return 0
        return int(
            manager.coordinator.get_num_blocks_to_allocate(
                request_id=request.request_id,
                num_tokens=min(computed + token_count, self.max_model_len),
                new_computed_blocks=manager.empty_kv_cache_blocks.blocks,
                num_encoder_tokens=0,
                total_computed_tokens=computed,
                num_local_computed_tokens=computed,
                num_tokens_main_model=computed + token_count,
            )
        )

    def _preempt_last(self) -> None:
        """Send the youngest running request back to the queue, with its partner."""
        last = self.running[-1]
        partner = self._partners.get(last.request_id)
        members = [last] if partner is None else [last, partner]
        # Each goes to the head of the queue, so the shadow goes first and ends up second.
        members.sort(key=lambda request: request.request_id not in self._shadows)
        for request in members:
            if request.status == RequestStatus.RUNNING:
                self.running.remove(request)
                self._preempt_request(request, time.monotonic())

    # Hooks that the stock `schedule` calls

    def _handle_blocked_waiting_request(self, request: Request) -> bool:
        """Whether `request` may be admitted now. Nobody overtakes a request that may not."""
        self._admits = (
            self._admits and super()._handle_blocked_waiting_request(request) and self._has_room(request)
        )
        return self._admits

    def _has_room(self, request: Request) -> bool:
        partner = self._partners.get(request.request_id)
        if partner is None or partner.status == RequestStatus.RUNNING:
            return True
        blocks = sum(-(-(item.num_tokens + 1) // self.block_size) for item in (request, partner))
        free = self.kv_cache_manager.block_pool.get_num_free_blocks()
        return bool(blocks <= free and len(self.running) + 2 <= self.max_num_active_reqs)

    def _get_local_prefix_cache_hit(self, request: Request) -> Any:
        """As found, less a block if nothing but the last token were left: that one has to wait."""
        blocks, count, *rest = super()._get_local_prefix_cache_hit(request)
        if request.request_id in self._partners and count >= request.num_tokens - 1:
            count = max(0, (request.num_tokens - 2) // self.block_size * self.block_size)
            blocks = self.kv_cache_manager.truncate_computed_blocks(blocks, count)
        return blocks, count, *rest

    def _reserve_prefill_lookahead(self, request: Request, computed: int, new: int) -> int:
        if request.status == RequestStatus.RUNNING:
            return min(new, self._planned.get(request.request_id, new))
        if request.request_id in self._partners:
            new = min(new, request.num_tokens - 1 - computed)
        return max(new, 0)


def _left(request: Request) -> int:
    """Tokens of `request` that were not computed yet, one that it is about to get included."""
    return int(request.num_tokens + request.num_output_placeholders - request.num_computed_tokens)


def _has_its_last(request: Request) -> bool:
    """Whether the step that is still computed writes the last token that `request` may have."""
    pending = request.num_output_placeholders
    return bool(pending and request.num_output_tokens + pending >= request.max_tokens)


def _draws(request: Request) -> bool:
    """Whether the step that was just scheduled ends in a token of `request`."""
    return not request.is_prefill_chunk


def _fits(request: Request, unconditional: list[int], max_model_len: int) -> bool:
    """Whether both rows can run to the end; a token held back needs one more before it."""
    if not unconditional:
        return True
    lengths = (request.num_prompt_tokens, len(unconditional))
    return bool(min(lengths) >= 2 and max(lengths) + request.max_tokens <= max_model_len)


def _row_params(params: SamplingParams, role: Role, pair: str) -> SamplingParams:
    row = copy.copy(params)
    row.extra_args = with_role(params.extra_args, role, pair)
    return row


def _shadow_of(request: Request, prompt: list[int], max_model_len: int) -> Request:
    """The unconditional request: same place and priority, and it never ends by itself."""
    params = _row_params(request.sampling_params, Role.UNCONDITIONAL, request.request_id)
    params.stop_token_ids, params.stop, params.ignore_eos = [], [], True
    params._eos_token_id, params._all_stop_token_ids = None, set()
    shadow = Request(
        request_id=request.request_id + SUFFIX,
        prompt_token_ids=prompt,
        sampling_params=params,
        pooling_params=None,
        client_index=request.client_index,
        arrival_time=request.arrival_time,
        cache_salt=request.cache_salt,
        priority=request.priority,
        block_hasher=request._block_hasher,
    )
    shadow.max_tokens = max_model_len
    return shadow
