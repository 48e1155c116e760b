"""Orders: what operators have done to mail that waits, and what of it holds until they take it back.

    selection   which recipients are meant
    book        what stands: paused queues and jobs, and mail that was ordered away or to another priority
    desk        the book on disk; the supervisor has it
    standing    what a shard makes of the book: the gate that mail passes on its way into a queue
    passing     one pass over what waits; deleting, listing, changing are such passes
    shard_verbs, commands   the questions, on a shard's and on the supervisor's side
    audit       who ordered what, when and why
"""
