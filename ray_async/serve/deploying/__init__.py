"""Deploying from files: what a config file may say, and how applications are made of it.

`schema` reads and checks a file, `import_path` finds applications by name, `from_config` puts both together, `command`
is the command line.
"""
