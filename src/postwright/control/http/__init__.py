"""The HTTP process: PowerMTA's monitor addresses, the API and the monitor's pages on one port, for whoever may.

Never touches mail: it asks and steers through the control socket, as the command line does. If it dies, mail flows on.
"""
