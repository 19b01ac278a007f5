"""Shared pieces of the notebooks, one module each; importing this package does nothing.

`utils` is a common name. If `import utils` gives you something else, a file or
folder of that name lies nearer on `sys.path`: see the README, "When something is in the way".
"""
