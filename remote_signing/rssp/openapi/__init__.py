"""What the service offers, told to programs (OpenAPI 3.1) and to people (``/docs``).

The description stands beside the code that it describes, in Python: names, limits and choices are
taken from the wire modules, so that there is one of each. What cannot be taken is compared by
tests: paths with the router, members with what the parsers ask for, every answer of every test with
its schema. Examples are exchanges that a test has had with the real service (``examples/``).
"""
