"""What the relay says of itself, as plain values: each shard's part, and how the supervisor puts them together. No text is made here."""
