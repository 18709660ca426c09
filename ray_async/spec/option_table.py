"""Options of tasks, actors and methods: one row for each, with its rules, what it sets, and who acts on that.

A new option begins with a row here. Tests then name what is missing: the field of a description that the option sets,
its type for type checkers, and the module that acts on the field.
"""

from __future__ import annotations

from typing import NamedTuple

from ray_async.spec import option_rules as rules
from ray_async.spec.label_selector import fallback_strategy_error, label_selector_error
from ray_async.spec.option_rules import AnyRule, HandleRule, Rule, counting, optional, quantity
from ray_async.spec.resource_request import custom_resources_error

__all__ = ("ACTOR_RULES", "METHOD_RULES", "OPTIONS", "TASK_RULES", "Option")


class Option(NamedTuple):
    """An option.

    Args:
        keyword: Its name, as programs give it.
        tasks, actors, methods: What it may be for each kind of callable; None where it is no option.
        sets: Fields of `TaskOptions`, `ActorOptions` and `MethodOptions` that it decides on; none where its value is
            only checked.
        readers: Modules of the package that act on those fields.
    """

    keyword: str
    tasks: AnyRule | None = None
    actors: AnyRule | None = None
    methods: AnyRule | None = None
    sets: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()


_TEMPLATES = "runtime.session.templates"
_CREATION = "runtime.session.actor_creation"
_CALL = "runtime.session.call_options"
_BIND = "api.actor_method"
_CLASSES = "runtime.session.scheduling_classes"
_PLACE = "spec.placement"

_HELD = ("resources", "placement_resources")
_PLACING = (_PLACE, _TEMPLATES, _CREATION)
_STRATEGY = ("scheduling_strategy",)
_NAME, _FLAG, _LABELS = optional(str), optional(bool), optional(dict)
_ENVIRONMENT = optional(dict, rules.runtime_env_problem)
_GROUP = HandleRule(rules.group_classes, ("default",))
_KIND_OF_PLACE = HandleRule(rules.strategy_classes, ("DEFAULT", "SPREAD"))
_RETURNS = Rule((int, str, type(None)), rules.num_returns_problem)
_UNREAD = optional(int, rules.backpressure_problem)
_PER_YIELD = rules.positive("_num_objects_per_yield")
_NO_TASKS_STORE = "Setting 'object_store_memory' is not implemented for tasks"


def _of_both(keyword: str, rule: AnyRule, sets: tuple[str, ...], readers: tuple[str, ...]) -> Option:
    """An option that tasks and actors have."""
    return Option(keyword, rule, rule, None, sets, readers)


OPTIONS = (
    # -- what is held, and where --
    _of_both("num_cpus", quantity("num_cpus"), _HELD, _PLACING),
    _of_both("num_gpus", quantity("num_gpus"), _HELD, _PLACING),
    _of_both("memory", quantity("memory"), _HELD, _PLACING),
    _of_both("resources", optional(dict, custom_resources_error), _HELD, _PLACING),
    _of_both("accelerator_type", optional(str), _HELD, _PLACING),
    _of_both("label_selector", optional(dict, label_selector_error), ("label_selector",), (_PLACE,)),
    _of_both("fallback_strategy", optional(list, fallback_strategy_error), ("fallback_strategy",), (_PLACE,)),
    _of_both("scheduling_strategy", _KIND_OF_PLACE, _STRATEGY, (_PLACE,)),
    _of_both("placement_group", _GROUP, _STRATEGY, (_PLACE,)),
    _of_both("placement_group_bundle_index", Rule((int,)), _STRATEGY, (_PLACE,)),
    _of_both("placement_group_capture_child_tasks", _FLAG, _STRATEGY, (_PLACE,)),
    _of_both("runtime_env", _ENVIRONMENT, ("runtime_env",), (_CLASSES,)),
    Option(
        "object_store_memory",
        tasks=optional(int, lambda value: None if value is None else _NO_TASKS_STORE),
        actors=counting("object_store_memory", infinite=False),
    ),
    # -- names, listings --
    Option("name", _NAME, _NAME, _NAME, ("name",), (_CALL, _CREATION, "api.actor")),
    Option("namespace", actors=_NAME, sets=("namespace",), readers=(_CREATION, "api.actor")),
    Option("get_if_exists", actors=Rule((bool,)), sets=("get_if_exists",), readers=("api.actor",)),
    Option("lifetime", actors=optional(str, rules.lifetime_problem), sets=("lifetime",), readers=(_CREATION,)),
    Option("enable_task_events", Rule((bool,)), Rule((bool,)), _FLAG, ("enable_task_events",), (_CALL, _CREATION)),
    Option("_labels", _LABELS, _LABELS, _LABELS, ("labels",), (_CALL, _CREATION)),
    # -- results --
    Option("num_returns", _RETURNS, None, _RETURNS, ("num_returns",), (_TEMPLATES, _CALL, _BIND)),
    Option("_generator_backpressure_num_objects", _UNREAD, None, _UNREAD, ("generator_backpressure",), (_TEMPLATES,)),
    Option(
        "_actor_generator_backpressure_num_objects",
        actors=_UNREAD,
        sets=("generator_backpressure",),
        readers=(_CREATION,),
    ),
    Option(
        "_num_objects_per_yield",
        Rule((int,), _PER_YIELD),
        None,
        optional(int, _PER_YIELD),
        ("objects_per_yield",),
        (_CALL,),
    ),
    Option("_generator_detached", _FLAG, None, _FLAG, ("generator_detached",), (_TEMPLATES,)),
    Option("enable_tensor_transport", actors=optional(bool, rules.transports_problem)),
    Option("tensor_transport", methods=optional(str, rules.transport_problem)),
    # -- failures --
    Option(
        "max_retries",
        counting("max_retries", infinite=True),
        sets=("max_retries",),
        readers=(_TEMPLATES,),
    ),
    Option(
        "retry_exceptions",
        Rule((bool, list, tuple), rules.retry_exceptions_problem),
        None,
        Rule((bool, list, tuple, type(None)), rules.retry_exceptions_problem),
        ("retry_exceptions",),
        (_TEMPLATES, _CALL),
    ),
    Option(
        "max_task_retries",
        actors=counting("max_task_retries", infinite=True),
        methods=counting("max_task_retries", infinite=True),
        sets=("max_task_retries",),
        readers=(_TEMPLATES, _CREATION),
    ),
    Option(
        "max_restarts",
        actors=counting("max_restarts", infinite=True),
        sets=("max_restarts",),
        readers=(_CREATION,),
    ),
    # -- how many, in which order, where in the process --
    Option("max_calls", counting("max_calls", infinite=False), sets=("max_calls",), readers=(_TEMPLATES,)),
    Option(
        "max_concurrency",
        actors=optional(int, rules.positive("max_concurrency")),
        sets=("max_concurrency",),
        readers=(_CREATION,),
    ),
    Option(
        "max_pending_calls",
        actors=counting("max_pending_calls", infinite=True),
        sets=("max_pending_calls",),
        readers=(_CREATION,),
    ),
    Option(
        "concurrency_groups",
        actors=Rule((list, dict, type(None))),
        sets=("concurrency_groups",),
        readers=(_CREATION,),
    ),
    Option(
        "concurrency_group",
        methods=optional(str),
        sets=("concurrency_group",),
        readers=(_CALL, _TEMPLATES, "spec.descriptors"),
    ),
    Option("allow_out_of_order_execution", actors=_FLAG, sets=("allow_out_of_order",), readers=(_CREATION,)),
    Option(
        "run_in_thread",
        actors=_FLAG,
        methods=_FLAG,
        sets=("run_in_thread",),
        readers=(_CREATION, _TEMPLATES),
    ),
)

TASK_RULES: dict[str, AnyRule] = {option.keyword: option.tasks for option in OPTIONS if option.tasks is not None}
ACTOR_RULES: dict[str, AnyRule] = {option.keyword: option.actors for option in OPTIONS if option.actors is not None}
METHOD_RULES: dict[str, AnyRule] = {option.keyword: option.methods for option in OPTIONS if option.methods is not None}
