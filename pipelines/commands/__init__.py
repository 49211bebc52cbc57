"""What commands do whose work and whose report are two things: they check what was typed, and call both."""
