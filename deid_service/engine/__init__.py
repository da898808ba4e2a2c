"""The de-identification engine: a plan and bytes in, bytes out.

    plan = compile_plan(parse_profile(yaml_text))
    out = deidentify(data, plan)

or, in pieces of any size and in constant memory:

    deidentifier = Deidentifier(plan)
    for piece in pieces:
        send(*deidentifier.receive(piece))
    result = deidentifier.finish()
    send(*result.tail)
"""
