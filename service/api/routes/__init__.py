"""The routes: each file has one path or two. They validate, submit and await."""
