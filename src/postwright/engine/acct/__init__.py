"""Questions to accounting files: `postwright acct find` and `acct stats`. Reads files and counts; knows nothing of a running relay."""
