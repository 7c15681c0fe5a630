"""Command line options as tables: a name, a type, and the request field that it sets.

An option that is not given stays absent, and the server's default applies.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import typer
from google.protobuf.message import Message

Command = TypeVar("Command", bound=Callable[..., None])

NUMBERS = {int: "a whole number", float: "a number"}


@dataclass(frozen=True, slots=True)
class Option:
    """An option and the field it sets."""

    name: str
    kind: Any
    field: str
    """Path from the request message. Empty: the command reads the value itself."""
    help: str
    parse: Callable[[Any], Any] = lambda value: value

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    def parameter(self) -> inspect.Parameter:
        """The option as typer reads it from a command's signature.

        Numbers are text to typer, which would end at the first that is none: `fill` names them all.
        """
        flags = [f"{self.flag}/--no{self.flag[1:]}"] if self.kind is bool else [self.flag]
        metavar = f"<{self.kind.__name__}>" if self.kind in NUMBERS else None
        option = typer.Option(*flags, help=self.help, show_default=False, metavar=metavar)
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[(str if self.kind in NUMBERS else self.kind) | None, option],
        )

    def read(self, value: Any) -> Any:
        """What was typed, as its kind. Raises `ValueError`."""
        if self.kind not in NUMBERS:
            return self.parse(value)
        try:
            number = self.kind(value)
        except ValueError:
            raise ValueError(f"{value!r} is not {NUMBERS[self.kind]}") from None
        return self.parse(number)

    def set_on(self, request: Message, parsed: Any) -> None:
        """Raises `ValueError` for a value that the field cannot hold."""
        *path, last = self.field.split(".")
        message: Any = request
        for step in path:
            message = getattr(message, step)
        if isinstance(parsed, list):
            getattr(message, last).extend(parsed)
        else:
            setattr(message, last, parsed)


def with_options(options: Iterable[Option]) -> Callable[[Command], Command]:
    """Give a command the `options`; it receives them as `**given`, those not given as None."""

    def decorate(command: Command) -> Command:
        own = [
            parameter
            for parameter in inspect.signature(command, eval_str=True).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        added = [option.parameter() for option in options]
        first = [parameter for parameter in own if parameter.default is inspect.Parameter.empty]
        rest = [parameter for parameter in own if parameter not in first]
        parameters = [*first, *added, *rest]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return command

    return decorate


def fill(request: Message, options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Set the fields of the options that were given, and return the values of those without a field.

    Raises `typer.BadParameter`, naming every bad one.
    """
    complaints, others = [], {}
    for option in options:
        value = given.get(option.name)
        if value is None:
            continue
        try:
            parsed = option.read(value)
            if option.field:
                option.set_on(request, parsed)
            else:
                others[option.name] = parsed
        except ValueError as error:
            complaints.append(f"{option.flag}: {error}")
    if complaints:
        raise typer.BadParameter("\n".join(complaints))
    return others


def overlay(request: Message, given: Message) -> None:
    """Set on `request` all that is set in `given`; lists replace those before."""
    _clear_lists(request, given)
    request.MergeFrom(given)


def _clear_lists(request: Message, given: Message) -> None:
    for field, value in given.ListFields():
        if field.is_repeated:
            request.ClearField(field.name)
        elif field.message_type is not None:
            _clear_lists(getattr(request, field.name), value)


def flags_by_field(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, str]:
    """How a person calls the fields of a request: by the option that sets it, a given one above all."""
    ordered = sorted(options, key=lambda option: given.get(option.name) is not None)
    return {option.field: option.flag for option in ordered if option.field}


def numbers(kind: type) -> Callable[[str], list[Any]]:
    """Read `1,2,3` or `[1, 2, 3]`."""

    def parse(text: str) -> list[Any]:
        try:
            return [kind(part) for part in text.strip("[] ").split(",") if part.strip()]
        except ValueError:
            raise ValueError(f"{text!r} is not a list of numbers, as 1,2,3") from None

    return parse


def enum_value(enum: Any, prefix: str) -> Callable[[str], int]:
    """Read a value of a protobuf enum by its name without the prefix, in any case."""

    def parse(text: str) -> int:
        names = [name.removeprefix(f"{prefix}_").lower() for name, number in enum.items() if number]
        if text.lower() not in names:
            raise ValueError(f"{text!r} is not one of {', '.join(names)}")
        return int(enum.Value(f"{prefix}_{text.upper()}"))

    return parse


def listed(parse: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """Read `a,b,c`, each by `parse`."""
    return lambda text: [parse(part.strip()) for part in text.split(",") if part.strip()]


def parse_codes(text: str) -> list[int]:
    """Codes as `<|audio_code_12|><|audio_code_7|>` or as `12,7`."""
    numbers = text.replace("<|audio_code_", " ").replace("|>", " ").replace(",", " ").split()
    if not all(number.isdigit() for number in numbers):
        raise ValueError("codes are written <|audio_code_12|><|audio_code_7|>, or 12,7")
    return [int(number) for number in numbers]


SAMPLING_OPTIONS = (
    Option("temperature", float, "sampling.temperature", "0 to 2; 0 is greedy."),
    Option("top_k", int, "sampling.top_k", "Keep the k most probable tokens; 0 keeps all."),
    Option("top_p", float, "sampling.top_p", "Keep the tokens that hold this probability."),
    Option("repetition_penalty", float, "sampling.repetition_penalty", "Penalty on repeated tokens."),
    Option(
        "use_constrained_decoding",
        bool,
        "sampling.use_constrained_decoding",
        "Enforce the grammar of the output.",
    ),
    Option(
        "constrained_decoding_debug",
        bool,
        "sampling.constrained_decoding_debug",
        "Log the grammar's decisions at the server.",
    ),
    Option("seed", int, "sampling.seed", "Seed of the draws."),
    Option("lm_model", str, "lm_model", "Language model; see capabilities."),
)
"""How tokens are drawn, for the commands that make text."""
