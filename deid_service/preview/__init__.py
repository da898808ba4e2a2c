"""What a profile changes in a file, and what remains: for who has the file, and nobody else.

Here values of a file are made readable, which happens nowhere else: in the commands that show
them on a screen, and in what PreviewProfile answers to who sent the file. pydicom reads them,
apart from the engine, so that what is shown is not what the engine believes.
"""
