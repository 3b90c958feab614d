"""The engine of a served model: the requests that wait, the thread that steps, the replies."""
