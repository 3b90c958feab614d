"""The routes: each file one path or two. They validate, submit and await."""
