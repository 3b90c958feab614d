"""The engine of a served model: its queues, the thread that runs its steps, and the replies."""
