"""The parts of `./dev bench`: one file for each thing that is measured, and what they share. Nothing here is shipped."""
