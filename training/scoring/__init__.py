"""What dragoman-evaluate scores, how it scores each kind of model, and what it prints."""
