"""The configuration language: text in, a tree of typed settings and a list of problems out.

`load` and `loads` are all that the rest of the program needs; `directives` has the table for those who explain it.
"""

from postwright.control.config.loader import LoadResult, load, loads
from postwright.control.config.problems import Problem

__all__ = ["LoadResult", "Problem", "load", "loads"]
