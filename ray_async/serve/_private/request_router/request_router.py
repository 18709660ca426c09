"""The base of request routers and its mixins, by the module's name that programs written for Ray import."""

from ray_async.serve.request_router import FIFOMixin, LocalityMixin, MultiplexMixin, RequestRouter

__all__ = ("FIFOMixin", "LocalityMixin", "MultiplexMixin", "RequestRouter")
