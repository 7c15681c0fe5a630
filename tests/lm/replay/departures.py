"""Where the product deliberately differs from the recorded reference: each difference once, and why.

Q1 to Q35 are the defects of spec lm.md 7; other numbers are sections of it. A departure holds for the
vectors it names, and for those that its rule describes: other files hold other vectors of the same kinds.
"""

from dataclasses import dataclass

from tests.lm.replay import rules
from tests.lm.replay.rules import given, never
from tests.lm.replay.world import ABSENT

SONG_FACTS = (
    *("plans", "codes", "fails", "forced", "guided_plan", "reasoning", "target", "seeds", "sampling"),
    *("caption", "lyrics", "bpm", "keyscale", "timesignature", "language", "duration"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    reason: str
    groups: tuple[str, ...]
    facts: tuple[str, ...]
    ids: tuple[str, ...] = ()
    when: rules.Rule = never


DEPARTURES: tuple[Departure, ...] = (
    # prompts
    Departure(
        reason="only codes are guided (Q5, 2.3, 2.6): no other prompt has a counterpart",
        groups=("prompts",),
        facts=("text",),
        when=lambda vector, ours, theirs: ours is ABSENT and "uncond" in vector["name"],
        ids=("P13",),
    ),
    Departure(
        reason="codes arrive as checked numbers, not as text (5.5)",
        groups=("prompts", "public_calls"),
        facts=("text", "tokens", "user_text", "sampling", "phase", "forced", "skips_language"),
        when=rules.odd_codes,
    ),
    Departure(
        reason="marks that a user wrote are text, never control tokens",
        groups=("prompts",),
        facts=("tokens",),
        when=rules.marks,
    ),
    # metadata block and parsing
    Departure(
        reason="the reference fails on a value that can be written (2.4)",
        groups=("cot_text",),
        facts=("block",),
        when=lambda vector, ours, theirs: theirs is None and "error" in vector,
    ),
    Departure(
        reason="durations are written in whole seconds, as the model was trained (6.1)",
        groups=("cot_text",),
        facts=("block",),
        when=lambda vector, ours, theirs: isinstance(given(vector).get("duration"), float),
    ),
    Departure(
        reason="YAML quotes that the model wrote are removed (Q24)",
        groups=("parse_output",),
        facts=("fields",),
        when=lambda vector, ours, theirs: any(
            value[:1] in "'\"" and ours.get(name) == rules.unquoted(value)
            for name, value in theirs.items()
            if value and ours.get(name) != value
        ),
    ),
    Departure(
        reason="headings of the lyrics are removed (Q23)",
        groups=("extract_lyrics",),
        facts=("lyrics",),
        when=lambda vector, ours, theirs: theirs.startswith("#") and theirs.endswith(ours),
    ),
    Departure(
        reason="a field that is null is not given (5.3)",
        groups=("small_helpers",),
        facts=("all four metas present",),
        when=lambda vector, ours, theirs: None in given(vector).values(),
    ),
    Departure(
        reason="codes are numbers: what is none is refused, and range is checked, not clamped (1.4)",
        groups=("small_helpers",),
        facts=("audio code string to integers",),
        when=rules.numbers_or_other_text,
    ),
    Departure(
        reason="no guessing from words: instrumental and language are fields of the request (Q30)",
        groups=("small_helpers",),
        facts=("helper",),
        when=rules.name_has("HTTP layer"),
    ),
    # grammar
    Departure(
        reason="names of fields are split as the tokenizer splits them (Q14)",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.prefixes,
    ),
    Departure(
        reason="half a name in another split is never written (Q14)",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.half_a_name,
    ),
    Departure(
        reason="captions are not fixed by users",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.fixed_caption,
    ),
    Departure(
        reason="genres are not written: their vocabulary is not published (Q11, Q12, Q13)",
        groups=("fsm_allowed", "fsm_traces"),
        facts=("allowed", "text"),
        when=rules.genres,
    ),
    Departure(
        reason="the drawn token ends a caption, which holds no marks and at most 512 characters"
        " (Q6, Q7, Q8, Q9, Q10)",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.in_caption,
    ),
    Departure(
        reason="a caption cannot end the turn, and skipped fields cannot be reached (Q8, Q10)",
        groups=("fsm_traces",),
        facts=("text",),
        when=lambda vector, ours, theirs: vector["expected"]["final_state"].endswith("_VALUE"),
    ),
    Departure(
        reason="a duration is a value of the grammar, or fixed by the user (3.5, not reached there either)",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.target_of_value,
    ),
    Departure(
        reason="one limit of durations for all requests; memory is the diffusion's to judge (1.6)",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.own_limit,
    ),
    Departure(
        reason="the language is drawn like every other value (3.5, step 10)",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.greedy_language,
    ),
    Departure(
        reason="codes are written after a prompt for codes, and only there",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.other_codes,
    ),
    Departure(
        reason="the end of the turn is no code, and never are more codes written than were asked for",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=lambda vector, ours, theirs: ours is ABSENT and rules.state(vector) == "CODES_GENERATION",
    ),
    Departure(
        reason="free text holds no control marks, and no codes at all (Q6)",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.after_the_block,
    ),
    Departure(
        reason="with the grammar off, marks and codes stay blocked (Q35)",
        groups=("fsm_allowed",),
        facts=("allowed",),
        when=rules.unmasked,
    ),
    Departure(
        reason="phases are calls of their own, each with one temperature (Q34)",
        groups=("fsm_temperature",),
        facts=("scores",),
        when=rules.always,
    ),
    # sampling, limits, parameters
    Departure(
        reason="top-p outside (0, 1] is refused (4.3)",
        groups=("sampling",),
        facts=("kept",),
        when=lambda vector, ours, theirs: (
            ours is ABSENT and not 0 < (given(vector).get("top_p") or 0.0) <= 1
        ),
    ),
    Departure(
        reason="ties at the threshold are all kept (4.2)",
        groups=("sampling",),
        facts=("kept", "scores"),
        when=lambda vector, ours, theirs: (
            ours is not ABSENT
            and len(ours) == len(theirs)
            and "nano step" not in vector["kind"]
            and rules.ties(vector, ours, theirs)
        ),
    ),
    Departure(
        reason="top-p is applied (Q1)",
        groups=("sampling",),
        facts=("top_p",),
        when=lambda vector, ours, theirs: theirs is None and ours == given(vector).get("top_p"),
    ),
    Departure(
        reason="the repetition penalty is applied (Q2)",
        groups=("sampling",),
        facts=("scores",),
        when=lambda vector, ours, theirs: (
            vector["kind"] == "nano step" and given(vector).get("repetition_penalty", 1.0) != 1.0
        ),
    ),
    Departure(
        reason="the penalty looks at what was written, not at prompt and padding (Q29)",
        groups=("sampling",),
        facts=("scores",),
        when=lambda vector, ours, theirs: (
            given(vector).get("repetition_penalty", 1.0) != 1.0
            and any(name in given(vector) for name in ("pad_token_id", "padding", "attention_mask"))
        ),
    ),
    Departure(
        reason="there is no padding in a continuous batch (Q29)",
        groups=("sampling",),
        facts=("kind", "scores", "replay"),
        ids=("S50",),
    ),
    Departure(
        reason="temperature 0 is greedy and top-k 0 keeps all (Q22)",
        groups=("sampling",),
        facts=("refused",),
        when=lambda vector, ours, theirs: (
            not ours and (given(vector).get("temperature") == 0 or given(vector).get("top_k") == 0)
        ),
    ),
    Departure(
        reason="exactly the codes of the duration; without one, at most those of 600 s;"
        " texts have a limit of their own (4.5)",
        groups=("sampling", "max_new_tokens_newer_upstream"),
        facts=("limit",),
        when=rules.always,
    ),
    Departure(
        reason="every request ends on its own (N1), and padding is never drawn (4.4)",
        groups=("sampling",),
        facts=("stops",),
        when=lambda vector, ours, theirs: (
            theirs
            and (len(given(vector)["sampled"]) > 1 or given(vector)["pad"] in given(vector)["sampled"])
        ),
    ),
    Departure(
        reason="the counter of codes belongs to the request (Q21)",
        groups=("batch_engine",),
        facts=("codes",),
        when=lambda vector, ours, theirs: (
            vector["input"].get("max_num_batched_tokens") is not None
            and all(mine > other for mine, other in zip(ours, theirs, strict=True))
        ),
    ),
    Departure(
        reason="calls to the engine are requests of one batch: seeds count (Q18), temperature 0 and top-k 0"
        " work (Q22), phases have no temperatures (Q34), limits are ours (4.5)",
        groups=("engine_calls",),
        facts=("call",),
        when=rules.always,
    ),
    Departure(
        reason="the seed of a single item counts (Q18)",
        groups=("tiny_model",),
        facts=("result",),
        ids=("Y04",),
    ),
    Departure(
        reason="every plan is complete, captions included (Q7, Q8)",
        groups=("tiny_model",),
        facts=("result",),
        ids=("Y07",),
    ),
    # songs
    Departure(
        reason="a seed is a whole number from 0, or absent: texts, -1 and fractions are refused",
        groups=("seed_lists",),
        facts=("seeds",),
        when=rules.refused,
    ),
    Departure(
        reason="a value that is out of range or of another form is refused, not repaired (Q15)",
        groups=("decisions", "decisions_newer_upstream"),
        facts=SONG_FACTS,
        when=rules.refused,
    ),
    Departure(
        reason="plans are never guided (Q5)",
        groups=("decisions", "decisions_newer_upstream"),
        facts=("guided_plan",),
        when=lambda vector, ours, theirs: theirs,
    ),
    Departure(
        reason="the planned language reaches the diffusion (Q3)",
        groups=("decisions", "decisions_newer_upstream"),
        facts=("language",),
        when=lambda vector, ours, theirs: theirs == "unknown",
    ),
    Departure(
        reason="codes without any metadata are written, not refused (Q16)",
        groups=("decisions", "decisions_newer_upstream"),
        facts=("fails", "codes", "plans"),
        when=lambda vector, ours, theirs: "items" in str(vector["expected"]["result"]["error"]),
    ),
    Departure(
        reason="the planned duration is the target of the codes (Q19)",
        groups=("decisions",),
        facts=("target",),
        when=rules.ungiven_duration,
    ),
    Departure(
        reason="every song has its seed, alone or in a chunk (Q18, Q27)",
        groups=("decisions", "decisions_newer_upstream"),
        facts=("seeds",),
        when=lambda vector, ours, theirs: (
            None in theirs and all(seed in (mine, None) for mine, seed in zip(ours, theirs, strict=True))
        ),
    ),
    Departure(
        reason="a field that cannot be read counts as not written (5.1)",
        groups=("decisions", "decisions_newer_upstream"),
        facts=("reasoning",),
        when=lambda vector, ours, theirs: "unreadable" in vector["name"],
    ),
    Departure(
        reason="the diffusion is told how long the codes are",
        groups=("decisions", "decisions_newer_upstream"),
        facts=("duration",),
        when=lambda vector, ours, theirs: (
            (given(vector).get("params") or {}).get("audio_codes") is not None
        ),
    ),
    Departure(
        reason="a cover needs a source: it is never turned into another task (N1)",
        groups=("decisions",),
        facts=SONG_FACTS,
        when=rules.cover_of_nothing,
    ),
    Departure(
        reason="a song from a source follows that: codes would take its place (dit.md 2.6)",
        groups=("decisions", "decisions_newer_upstream"),
        facts=("codes", "target", "reasoning", "seeds", "sampling"),
        when=rules.task("lego", "complete"),
    ),
    Departure(
        reason="extract works on its source alone (N1)",
        groups=("decisions",),
        facts=SONG_FACTS,
        when=rules.task("extract"),
    ),
    Departure(
        reason="what the user fixed is in the plan that the codes follow (3.5, step 7)",
        groups=("decisions", "decisions_newer_upstream"),
        facts=("reasoning",),
        when=rules.user_fixed,
    ),
    Departure(
        reason="the diffusion itself takes the length of a task with a source from the source (N1)",
        groups=("decisions_newer_upstream",),
        facts=("duration", "target"),
        when=rules.task("lego", "cover", "repaint", "extract"),
    ),
    Departure(
        reason="not replayed: the vector whose input it shares is not in the file",
        groups=("decisions_newer_upstream",),
        facts=("input",),
        when=rules.always,
    ),
    # public calls
    Departure(
        reason="an empty text is an empty description; the grammar rules it out",
        groups=("public_calls",),
        facts=("lyrics",),
        when=lambda vector, ours, theirs: given(vector).get("lm_text") == "",
    ),
    Departure(
        reason="one call understands codes; without any it invents an example (2.6)",
        groups=("public_calls",),
        facts=("succeeds",),
        when=rules.name_has("lower-level"),
    ),
    Departure(
        reason="what the user fixed is in the result (3.5, step 7)",
        groups=("public_calls",),
        facts=("bpm", "duration", "keyscale", "timesignature"),
        when=lambda vector, ours, theirs: bool(given(vector).get("user_metadata")),
    ),
    Departure(
        reason="a language is one of the 51 codes, or refused (Q15)",
        groups=("public_calls",),
        facts=("forced",),
        when=rules.refused_unless_ordinary,
    ),
    Departure(
        reason="metadata have types and ranges, and are refused otherwise (Q15)",
        groups=("public_calls",),
        facts=("forced", "skips_language"),
        when=lambda vector, ours, theirs: ours is ABSENT and bool(given(vector).get("user_metadata")),
    ),
    Departure(
        reason="a language that was given is written (Q17)",
        groups=("public_calls",),
        facts=("skips_language", "language"),
        when=lambda vector, ours, theirs: "language" in (given(vector).get("user_metadata") or {}),
    ),
    Departure(
        reason="phases are calls of their own; a failure is a gRPC status (5.3)",
        groups=("public_calls",),
        facts=("call",),
        when=rules.name_has("two-phase call"),
    ),
    Departure(
        reason="there is no raw generation: prompts are the service's own (5.4)",
        groups=("public_calls",),
        facts=("call",),
        when=rules.name_has("raw generation"),
    ),
)
