"""The machine below a session: its memory, CPUs and address, control groups, event loops and how processes end."""
