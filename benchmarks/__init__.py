"""What the README's figures come from: each script prints its figures and says how to run it."""
