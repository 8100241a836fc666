"""The command line: a command a file, beside what they share (options, exits, the file of defaults).

A command's module imports the rest of the project inside its functions, so that ``--help`` answers at once.
"""
