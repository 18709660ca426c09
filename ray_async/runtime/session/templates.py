"""Templates of calls: everything of a function's or a method's calls but their arguments, settled once for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from ray_async._core import submission
from ray_async._core.constants import RecordKind
from ray_async.config import DEFAULT_ASYNC_TASK_CONCURRENCY
from ray_async.runtime.session.call_options import call_options
from ray_async.spec.definition_export import DefinitionExport, DefinitionKind
from ray_async.spec.placement import check_fits

if TYPE_CHECKING:
    from collections.abc import Callable

    from ray_async._core.submission import ActorCore, StreamCursor, Template
    from ray_async.runtime.session.core_session import CoreSession
    from ray_async.runtime.session.pending_calls import LimitedTemplate
    from ray_async.spec.descriptors import FunctionDescriptor, MethodDescriptor
    from ray_async.spec.method_options import MethodOptions
    from ray_async.spec.task_options import TaskOptions

__all__ = ("method_template", "task_template")


class _Returns(TypedDict, total=False):
    n_returns: int
    make_generator: Callable[[StreamCursor], object]
    detached: bool


def task_template(session: CoreSession, function: FunctionDescriptor, options: TaskOptions) -> Template:
    """Prepare calls of a function.

    Raises:
        ValueError: they fit in no bundle of their placement group.
    """
    is_async = function.is_async and options.num_returns != "dynamic"
    per_worker = session.settings.get(DEFAULT_ASYNC_TASK_CONCURRENCY) if is_async else 1
    description = session.classes.describe(options, is_async, per_worker)
    check_fits(function.name, options, options.resources)
    definition = DefinitionExport(
        DefinitionKind.FUNCTION,
        function.name,
        f"{function.module}.{function.name}",
        function.is_async,
        function.is_generator,
        options.max_calls,
    )
    export = session.exports.export(definition, function.function)
    used = session.classes.use(description)
    return submission.Template(
        session.arena,
        export.ref,
        opts=call_options(session.arena, options, function.name),
        queue=used.queue,
        keep=(export, used),
        retries=options.max_retries,
        kind=RecordKind.TASK,
        retry_errors=bool(options.retry_exceptions),
        is_async=is_async,
        backpressure=max(0, options.generator_backpressure or 0),
        **_returns(session, options),
    )


def method_template(
    session: CoreSession, core: ActorCore, method: MethodDescriptor, options: MethodOptions
) -> Template | LimitedTemplate:
    """Prepare calls of a method."""
    actor = session.actor_description(core.entry)
    retries = options.max_task_retries if options.max_task_retries is not None else actor.max_task_retries
    in_thread = options.run_in_thread if options.run_in_thread is not None else actor.run_in_thread
    definition = DefinitionExport(
        DefinitionKind.METHOD,
        f"{actor.class_name}.{method.name}",
        f"{actor.module}.{actor.class_name}.{method.name}",
        method.is_async,
        method.is_generator,
        method=method.name,
        group=method.options.concurrency_group,
        in_thread=bool(in_thread and actor.is_async and not method.is_async),
    )
    export = session.exports.export(definition)
    template = submission.Template(
        session.arena,
        export.ref,
        keep=export,
        opts=call_options(session.arena, options, definition.name, actor.enable_task_events),
        actor=core,
        retries=retries,
        kind=RecordKind.ACTOR_CALL,
        retry_errors=bool(options.retry_exceptions) and retries != 0,
        is_async=method.is_async,
        backpressure=max(0, options.generator_backpressure or actor.backpressure),
        **_returns(session, options),
    )
    if actor.max_pending_calls > 0:
        from ray_async.runtime.session.pending_calls import LimitedTemplate  # few actors have such a limit

        return LimitedTemplate(session, core, template, actor.max_pending_calls, actor.class_name)
    return template


def _returns(session: CoreSession, options: TaskOptions | MethodOptions) -> _Returns:
    if options.num_returns == "streaming":
        return {"n_returns": -1, "make_generator": session.make_generator, "detached": options.generator_detached}
    if isinstance(options.num_returns, str):  # "dynamic"
        return {"n_returns": 1}
    return {"n_returns": options.num_returns}
