"""The live monitor: pages that a person reads, made on the server, and the history behind their charts.

Pages ask the relay through the control socket, as commands do, and steer it with the same orders; nothing here knows a queue.
"""
