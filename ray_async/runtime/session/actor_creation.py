"""Creation of actors: their description and the call of ``__init__`` in the arena, their name with the node."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async import exceptions as errors
from ray_async._core import store, submission
from ray_async._core.constants import RecordKind
from ray_async.runtime.session.call_options import creation_options
from ray_async.spec.actor_description import ActorDescription
from ray_async.spec.definition_export import DefinitionExport, DefinitionKind
from ray_async.spec.placement import check_fits
from ray_async.transport.frames import encode_bytes

if TYPE_CHECKING:
    from ray_async._core.submission import ActorCore
    from ray_async.runtime.session.core_session import CoreSession
    from ray_async.spec.actor_options import ActorOptions
    from ray_async.spec.descriptors import ActorMeta, ClassDescriptor

__all__ = ("create_actor",)


def create_actor(
    session: CoreSession,
    cls: ClassDescriptor,
    options: ActorOptions,
    args: tuple[object, ...],
    kwargs: dict[str, object] | None,
) -> ActorCore:
    """Start an actor; returns at once.

    Raises:
        ActorAlreadyExistsError: the name is taken.
        ValueError: the actor fits in no bundle of its placement group.
    """
    description = _describe(session, cls, options)
    check_fits(cls.qualname, options, {**options.placement_resources, **options.resources})
    definition = DefinitionExport(DefinitionKind.CLASS, f"{cls.name}.__init__", f"{cls.module}.{cls.qualname}")
    export = session.exports.export(definition, cls.cls, cls)
    core = submission.new_actor(session.arena, store.put_raw(session.arena, description.encode()))
    if description.name:
        _register_name(session, core, description, cls.meta)
    opts = creation_options(session.arena, options.enable_task_events)
    template = submission.Template(
        session.arena, export.ref, opts=opts, actor=core, n_returns=1, kind=RecordKind.ACTOR_INIT
    )
    submission.submit_actor(core, template, args, kwargs)
    return core


def _describe(session: CoreSession, cls: ClassDescriptor, options: ActorOptions) -> ActorDescription:
    place, env_key, environment = session.classes.place(options)
    lifetime = options.lifetime or session.description["job"].get("default_actor_lifetime") or "non_detached"
    return ActorDescription(
        place=place,
        placement_resources=dict(options.placement_resources),
        job=session.job_number,
        env_key=env_key,
        runtime_env=environment,
        class_name=cls.name,
        module=cls.module,
        name=options.name or "",
        namespace=options.namespace if options.namespace is not None else session.namespace,
        detached=lifetime == "detached",
        owner=session.owner(),
        max_restarts=options.max_restarts,
        max_task_retries=options.max_task_retries,
        max_concurrency=options.max_concurrency,
        max_pending_calls=options.max_pending_calls,
        concurrency_groups=dict(options.concurrency_groups),
        is_async=options.is_async,
        run_in_thread=options.run_in_thread,
        ordered=not options.allow_out_of_order,
        backpressure=options.generator_backpressure or 0,
        enable_task_events=options.enable_task_events,
        own_labels=dict(options.labels or {}),
    )


def _register_name(session: CoreSession, core: ActorCore, description: ActorDescription, meta: ActorMeta) -> None:
    from ray_async.serialization.actor_metas import pack  # not needed before an actor has a name

    answer = session.ask(
        "name_actor",
        actor=core.entry,
        name=description.name,
        namespace=description.namespace,
        meta=encode_bytes(pack(meta)),
    )
    if answer.get("taken"):
        raise errors.ActorAlreadyExistsError(
            f"The name {description.name} (namespace={description.namespace}) is already taken. Please use a "
            "different name, or get the existing actor with get_actor()."
        )
