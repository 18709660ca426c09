"""The Ray programming model for asyncio: tasks, actors and objects."""
