"""What keeps a relay's mail from being taken elsewhere, looked at before a receiver tells it: `postwright doctor`.

A file for each group of checks; `examine` runs them. A check is a coroutine of a `Patient` that gives `Finding`s, and changes nothing but
for the file with which it times a disk. Everything that asks the world asks the patient's resolver or its dialer."""
