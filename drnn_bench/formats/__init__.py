"""Files that hold sequences -> sequences with their labels.

`reading.read` is the entrance. Each kind of file has a reader of its own: `tables`, `arrays`,
`archive` (the UCR archive's kinds of file), `recordings` and `idx`. A new kind is one reader and
one line in `reading.READERS`.

Knows nothing of tasks or models. May import errors and system.
"""
