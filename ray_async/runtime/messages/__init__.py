"""Messages between the processes of a session: what node, drivers, zygote and workers say of themselves and of jobs.

They are mappings of JSON, typed key by key; what is made once and read often is in `ray_async.spec`.
"""
