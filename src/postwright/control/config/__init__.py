"""The configuration language: text in, a tree of typed settings and a list of problems out."""
